"""The one rule about stored secrets: they are only ever sent to the destination they were given for."""

from dataclasses import dataclass, replace
from enum import Enum

from mailsettings.domain.errors import SecretNeededAgain
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, OAuth2ClientCredentials
from mailsettings.domain.setting import Setting
from mailsettings.domain.trust import SystemTrust


class SecretChange(Enum):
    """What a caller said about the secret."""

    GIVEN = "given"
    """The new server holds what is to be stored, be it nothing."""
    KEPT = "kept"
    """The mask was sent back: the caller takes it that a secret is stored."""
    UNSAID = "unsaid"
    """Nothing was said: the stored secret stays, if there is one."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a caller wants stored; `keeps_trust` where its API has no word for trust."""

    server: MailServer
    secret: SecretChange = SecretChange.GIVEN
    keeps_trust: bool = False

    def onto(self, stored: MailServer | None) -> MailServer:
        """The server to store in place of *stored* (None: there is none).

        Raises `SecretNeededAgain` when the stored secret would meet another destination.
        """
        server = self._with_trust_of(stored)
        if self.secret is SecretChange.GIVEN:
            return server
        if self.secret is SecretChange.UNSAID and (stored is None or stored.secret is None):
            return server
        if stored is None or stored.destination() != server.destination():
            raise SecretNeededAgain(_secret_setting(server))
        return server.with_secret(stored.secret)

    def _with_trust_of(self, stored: MailServer | None) -> MailServer:
        if not self.keeps_trust or stored is None:
            return self.server
        encrypted = self.server.security is not ConnectionSecurity.NONE
        return replace(self.server, trust=stored.trust if encrypted else SystemTrust())


def _secret_setting(server: MailServer) -> Setting:
    if isinstance(server.authentication, OAuth2ClientCredentials):
        return Setting.CLIENT_SECRET
    return Setting.PASSWORD
