"""A change that a caller wants: on which stored state it may act, and which stored settings it keeps."""

from dataclasses import dataclass, replace
from enum import Enum

from mailsettings.domain.errors import (
    InvalidSetting,
    NoSecretStored,
    PreconditionFailed,
    SecretNeededAgain,
    WeakPrecondition,
)
from mailsettings.domain.mail_server import (
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


@dataclass(frozen=True, slots=True)
class StateTags:
    """Some states of a mail server, see `StoredMailServer.tag`; None for all that there are."""

    listed: frozenset[str] | None = None

    def __contains__(self, stored: StoredMailServer | None) -> bool:
        return stored is not None and (self.listed is None or stored.tag in self.listed)


@dataclass(frozen=True, slots=True)
class Precondition:
    """A change is made only to a server in one of these states, and in none of those (None: nothing is said).

    `weak` are states that the caller names beside `one_of` without being sure: they are not enough.
    """

    one_of: StateTags | None = None
    none_of: StateTags | None = None
    weak: StateTags = StateTags(frozenset())

    def require(self, stored: StoredMailServer | None, removed: Revision | None = None) -> None:
        """Raise `PreconditionFailed` unless it holds for *stored*; *removed* tells how the last one went.

        Raise `WeakPrecondition` where *stored* is in a state that is named weakly only.
        """
        meant = self.one_of is None or stored in self.one_of
        if meant and (self.none_of is None or stored not in self.none_of):
            return
        if not meant and stored in self.weak:
            raise WeakPrecondition
        if stored is not None:
            raise PreconditionFailed(f"it was changed{stored.revision}")
        raise PreconditionFailed("there is none" if removed is None else f"it was removed{removed}")


NO_PRECONDITION = Precondition()
"""Of callers that do not say what they take to be stored."""


class SecretInput(Enum):
    """What a caller said about the secret."""

    GIVEN = "given"
    """The new server holds what is to be stored, be it nothing."""
    KEPT = "kept"
    """The placeholder that this API shows was sent back: the stored secret is to stay."""
    PLACEHOLDER = "placeholder"
    """Another placeholder was sent, which stands for no stored secret."""
    OMITTED = "unsaid"
    """Nothing was said: the stored secret stays, if there is one."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a caller wants stored.

    `keeps` are the settings that the request has no word for; see
    docs/decisions/0003-leave-what-an-api-cannot-say.md. Each stays as it is stored:

    - `CERTIFICATE`: which certificates are trusted, also while there is no encryption;
    - `DEFAULT_CREDENTIALS`: the machine's own login, where the request has no login;
    - `CLIENT_ID`: the OAuth2 login, where the request has its user name and no password;
    - `SENDER_NAME`: that mails have no display name, where the request repeats the address in its place.
    """

    server: MailServer
    secret: SecretInput = SecretInput.GIVEN
    keeps: frozenset[Setting] = frozenset()

    def onto(self, stored: MailServer | None) -> MailServer:
        """The server to store in place of *stored* (None: there is none).

        Raises `SecretNeededAgain` when the stored secret would meet another destination, `NoSecretStored` when a
        placeholder stands for nothing, and `InvalidSetting` for a placeholder that this API does not show.
        """
        server = self.server if stored is None else self._with_what_stays(stored)
        if self.secret is SecretInput.GIVEN:
            return server
        if stored is None or stored.secret is None:
            return self._onto_no_secret(stored, server)
        if self.secret is SecretInput.PLACEHOLDER:
            raise InvalidSetting(_secret_setting(self.server), "is a placeholder, not a secret; send the secret.")
        if stored.destination() != server.destination():
            # By the name of what was sent: an API without OAuth2 has no client secret to send.
            raise SecretNeededAgain(_secret_setting(self.server))
        return server.with_secret(stored.secret)

    def _onto_no_secret(self, stored: MailServer | None, server: MailServer) -> MailServer:
        """What was read may be sent back, although its placeholder stands for no secret."""
        unchanged = stored is not None and stored.destination() == server.destination()
        if self.secret is SecretInput.OMITTED or (self.secret is SecretInput.KEPT and unchanged):
            return server
        raise NoSecretStored(_secret_setting(self.server))

    def _with_what_stays(self, stored: MailServer) -> MailServer:
        server = replace(self.server, authentication=self._authentication(stored.authentication))
        if Setting.CERTIFICATE in self.keeps:
            server = replace(server, trust=stored.trust)
        if Setting.SENDER_NAME in self.keeps and stored.sender.display_name is None:
            shown = {stored.sender.address, server.sender.address}
            if server.sender.display_name in shown:
                server = replace(server, sender=replace(server.sender, display_name=None))
        return server

    def _authentication(self, stored: Authentication) -> Authentication:
        """The stored login, without its secret, where the request shows it as this API does."""
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


def _secret_setting(server: MailServer) -> Setting:
    if isinstance(server.authentication, OAuth2ClientCredentials):
        return Setting.CLIENT_SECRET
    return Setting.PASSWORD
