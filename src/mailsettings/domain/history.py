"""The versions of a mail server, and which settings differ between two of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.certificates import CustomTrust, Trust
from mailsettings.domain.errors import NoSuchVersion
from mailsettings.domain.mail_server import (
    PLAIN_SETTINGS,
    MailServer,
    Revision,
)
from mailsettings.domain.secret import is_same_secret
from mailsettings.domain.setting import Setting

MAX_VERSIONS = 50
"""For each server, and for all removed servers together."""


@dataclass(frozen=True, slots=True)
class MailServerVersion:
    """A mail server after one change; `server` is None if the change removed it."""

    server_id: int
    version: int
    server: MailServer | None
    revision: Revision
    was_default: bool


def secret_change(now: MailServerVersion, before: MailServerVersion | None) -> str | None:
    """Return how *now* changed the secret of the version *before* it: set, replaced, removed or kept.

    Return None if neither version has a secret, or if the earlier version was deleted. A secret that was given
    again counts as replaced even if it is the same, so that the answer confirms no guess.
    """
    if before is None and now.version > 1:
        return None
    old, new = (one.server.secret if one is not None and one.server is not None else None for one in (before, now))
    if old is None or new is None:
        return None if old is new else "removed" if new is None else "set"
    # By label and not by text: "kept" must not confirm that a guessed password is right.
    return "kept" if is_same_secret(old, new) else "replaced"


def find_version(past: Sequence[MailServerVersion], version: int | None) -> MailServer:
    """Return the server as it was in *version*, or before its last change (None). *past* is newest first.

    Raises `NoSuchVersion`.
    """
    for one in past:
        if one.server is not None and version in {None, one.version}:
            return one.server
    raise NoSuchVersion(version)


def difference(before: MailServer | None, after: MailServer | None) -> dict[str, dict[str, object]]:
    """Return each setting that differs, with `before` and `after`; a newly given secret always differs."""
    old, new = described(before), described(after)
    return {
        str(setting): {"before": old.get(setting), "after": new.get(setting)}
        for setting in Setting
        if old.get(setting) != new.get(setting)
    }


def described(server: MailServer | None) -> dict[Setting, object]:
    """Return all settings as plain values: certificates as their hash, secrets as their random label."""
    if server is None:
        return {}
    login = server.authentication
    return {
        Setting.AUTHENTICATION: login.kind,
        Setting.CERTIFICATE: _certificates(server.trust),
        Setting.CLIENT_ID: login.client_id,
        login.secret_setting: None if server.secret is None else f"label {server.secret.label}",
        Setting.SECURITY: server.security.value,
        Setting.SENDER_ADDRESS: server.sender.address,
        Setting.SENDER_NAME: server.sender.display_name,
        Setting.TENANT: login.tenant,
        Setting.USERNAME: login.username,
        **{setting: getattr(server, name) for setting, name in PLAIN_SETTINGS.items()},
    }


def _certificates(trust: Trust) -> str | None:
    if not isinstance(trust, CustomTrust):
        return None
    return f"SHA-256 {hashlib.sha256(trust.pem.encode()).hexdigest()}"
