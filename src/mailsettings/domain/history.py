"""What a mail server was before, version by version."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.changed import Revision
from mailsettings.domain.errors import NoSuchVersion
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.secret import is_same_secret

MAX_VERSIONS = 50
"""Of each server, and as many in all of those that were removed."""


@dataclass(frozen=True, slots=True)
class MailServerVersion:
    """A server as one change left it; `server` is None where that change removed it."""

    server_id: int
    version: int
    server: MailServer | None
    revision: Revision
    was_default: bool


def secret_change(now: MailServerVersion, before: MailServerVersion | None) -> str | None:
    """What *now* did to the secret that the version *before* it had: set, replaced, removed or kept.

    None where there was none to begin with, and where the version before is not kept. A secret that is given again
    is a replacement, even if it is the same: the words confirm no guess.
    """
    if before is None and now.version > 1:
        return None
    old, new = (one.server.secret if one is not None and one.server is not None else None for one in (before, now))
    if old is None or new is None:
        return None if old is new else "removed" if new is None else "set"
    return "kept" if is_same_secret(old, new) else "replaced"


def find_version(past: Sequence[MailServerVersion], version: int | None) -> MailServer:
    """What the server was in *version*, or before its last change (None). *past* is newest first.

    Raises `NoSuchVersion`.
    """
    for one in past:
        if one.server is not None and version in {None, one.version}:
            return one.server
    raise NoSuchVersion(version)
