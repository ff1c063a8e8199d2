"""Changes of a mail server: replacement, precondition, history and difference."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from mailsettings.domain.certificates import CustomTrust, Trust
from mailsettings.domain.errors import (
    InvalidSetting,
    NoSecretStored,
    NoSuchVersion,
    PreconditionFailed,
    SecretNeededAgain,
    WeakPrecondition,
)
from mailsettings.domain.mail_server import (
    PLAIN_SETTINGS,
    AmbientCredentials,
    Authentication,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Revision,
    StoredMailServer,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import is_same_secret

MAX_VERSIONS = 50
"""For each server, and for all removed servers together."""


@dataclass(frozen=True, slots=True)
class MailServerVersion:
    """A mail server after one change; `server` is None if the change removed it.

    `given_name` is None if a program without names stored the version.
    """

    server_id: int
    version: int
    server: MailServer | None
    revision: Revision
    was_default: bool
    given_name: str | None = None
    enabled: bool = True


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


def find_version(
    past: Sequence[MailServerVersion], version: int | None, current: MailServer | None = None
) -> MailServer:
    """Return the server as it was in *version*, or (None) before the last change that made it *current*.

    *past* is newest first. A version that differs in name or state alone is not before a change of the settings.
    Raises `NoSuchVersion`.
    """
    kept = [one.server for one in past if one.server is not None and version in {None, one.version}]
    if not kept:
        raise NoSuchVersion(version)
    now = described(current)
    return next((server for server in kept if described(server) != now), kept[0])


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
        Setting.LABELS: dict(server.labels) or None,
        login.secret_setting: None if server.secret is None else f"label {server.secret.label}",
        Setting.SECURITY: server.security.value,
        Setting.SENDER_ADDRESS: server.sender.address,
        Setting.SENDER_NAME: server.sender.display_name,
        Setting.TENANT: login.tenant,
        Setting.USERNAME: login.username,
        **{setting: getattr(server, name) or None for setting, name in PLAIN_SETTINGS.items()},
    }


def _certificates(trust: Trust) -> str | None:
    if not isinstance(trust, CustomTrust):
        return None
    return f"SHA-256 {hashlib.sha256(trust.pem.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class StateTags:
    """A set of states of a mail server, by `StoredMailServer.tag`; None for every state that exists."""

    listed: frozenset[str] | None = None

    def __contains__(self, stored: StoredMailServer | None) -> bool:
        return stored is not None and (self.listed is None or stored.tag in self.listed)


@dataclass(frozen=True, slots=True)
class Precondition:
    """A change applies only to a server in a state of `one_of` and in none of `none_of` (None: no condition).

    `weak` has states that the caller named in addition to `one_of` with weak tags, which do not suffice
    (RFC 9110 13.1.1: If-Match uses the strong comparison).
    """

    one_of: StateTags | None = None
    none_of: StateTags | None = None
    weak: StateTags = StateTags(frozenset())

    def require(self, stored: StoredMailServer | None, removed: Revision | None = None) -> None:
        """Raise `PreconditionFailed` unless *stored* meets it; *removed* describes the last removal.

        Raise `WeakPrecondition` if the caller named the state of *stored* only with a weak tag.
        """
        meant = self.one_of is None or stored in self.one_of
        if meant and (self.none_of is None or stored not in self.none_of):
            return
        if not meant and stored in self.weak:
            raise WeakPrecondition
        if stored is not None:
            raise PreconditionFailed(f"it was changed{stored.revision}")
        raise PreconditionFailed("no mail server is stored" if removed is None else f"it was removed{removed}")


NO_PRECONDITION = Precondition()
"""For callers that expect no particular state."""


class SecretInput(Enum):
    """What a request says about the secret."""

    GIVEN = "given"
    """The new server holds the secret to store, or none."""
    KEPT = "kept"
    """The request has the placeholder that this API shows: the stored secret stays."""
    PLACEHOLDER = "placeholder"
    """The request has another placeholder, which stands for no stored secret."""
    OMITTED = "unsaid"
    """The request does not mention the secret: a stored one stays."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """The server that a caller wants to store.

    `name` and `enabled` are None to stay as they are; a new server gets a name from its host, and is enabled.

    `keeps` has the settings that the request cannot express; see
    docs/decisions/0003-leave-what-an-api-cannot-say.md. Each of them stays as it is stored:

    - `CERTIFICATE`: the trusted certificates, even while the connection is not encrypted;
    - `DEFAULT_CREDENTIALS`: the login of the machine itself, if the request has no login;
    - `CLIENT_ID`: the OAuth2 login, if the request has its user name and no password;
    - `SENDER_NAME`: a sender without a display name, if the request repeats the address in its place;
    - `LABELS`, and each of `PLAIN_SETTINGS`: its value.
    """

    server: MailServer
    secret: SecretInput = SecretInput.GIVEN
    keeps: frozenset[Setting] = frozenset()
    name: str | None = None
    enabled: bool | None = None

    def onto(self, stored: MailServer | None) -> MailServer:
        """Return the server to store in place of *stored* (None: none is stored).

        Raises `SecretNeededAgain` if the stored secret would go to another destination, `NoSecretStored` if a
        placeholder stands for no secret, and `InvalidSetting` for a placeholder that this API does not show.
        """
        server = self.server if stored is None else self._with_what_stays(stored)
        if self.secret is SecretInput.GIVEN:
            return server
        if stored is None or stored.secret is None:
            return self._onto_no_secret(stored, server)
        if self.secret is SecretInput.PLACEHOLDER:
            raise InvalidSetting(
                self.server.authentication.secret_setting, "is a placeholder, not a secret; send the secret."
            )
        # The stored secret must not reach a host or user that it was not given for.
        if stored.destination() != server.destination():
            # Name the secret of the login that was sent: an API without OAuth2 has no field for a client secret.
            raise SecretNeededAgain(self.server.authentication.secret_setting)
        return server.with_secret(stored.secret)

    def _onto_no_secret(self, stored: MailServer | None, server: MailServer) -> MailServer:
        """Accept an unchanged server as it was read, although its placeholder stands for no secret."""
        unchanged = stored is not None and stored.destination() == server.destination()
        if self.secret is SecretInput.OMITTED or (self.secret is SecretInput.KEPT and unchanged):
            return server
        raise NoSecretStored(self.server.authentication.secret_setting)

    def _with_what_stays(self, stored: MailServer) -> MailServer:
        plain = {name: getattr(stored, name) for setting, name in PLAIN_SETTINGS.items() if setting in self.keeps}
        server = replace(self.server, authentication=self._authentication(stored.authentication), **plain)
        if Setting.CERTIFICATE in self.keeps:
            server = replace(server, trust=stored.trust)
        if Setting.LABELS in self.keeps:
            server = replace(server, labels=stored.labels)
        if Setting.SENDER_NAME in self.keeps and stored.sender.display_name is None:
            shown = {stored.sender.address, server.sender.address}
            if server.sender.display_name in shown:
                server = replace(server, sender=replace(server.sender, display_name=None))
        return server

    def _authentication(self, stored: Authentication) -> Authentication:
        """Return the stored login, without its secret, if the request shows it as this API does."""
        sent = self.server.authentication
        is_unsaid = self.secret is SecretInput.OMITTED
        match stored:
            case AmbientCredentials() if Setting.DEFAULT_CREDENTIALS in self.keeps and sent == NoAuthentication():
                return stored
            case OAuth2ClientCredentials(username=name) if Setting.CLIENT_ID in self.keeps and is_unsaid:
                kept = replace(stored, client_secret=None)
                return kept if sent == PasswordAuthentication(name, None) else sent
            case _:
                return sent
