"""What a mail server was before, version by version."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.changed import Changed
from mailsettings.domain.errors import NoSuchVersion
from mailsettings.domain.mail_server import MailServer

VERSIONS_KEPT = 50
"""Of each server, and as many in all of those that were removed."""


@dataclass(frozen=True, slots=True)
class MailServerVersion:
    """A server as one change left it; `server` is None where that change removed it."""

    server_id: int
    version: int
    server: MailServer | None
    changed: Changed
    was_default: bool


def to_restore(past: Sequence[MailServerVersion], version: int | None) -> MailServer:
    """What the server was in *version*, or before its last change (None). *past* is newest first.

    Raises `NoSuchVersion`.
    """
    for one in past:
        if one.server is not None and version in {None, one.version}:
            return one.server
    raise NoSuchVersion(version)
