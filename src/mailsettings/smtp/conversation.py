"""The conversation with one server over one connected socket, from its greeting to the last reply."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import aiosmtplib

from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp.failures import Refused
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.message import compose
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.replies import credential_forms, reply

# Over TLS the simplest is as good as any and takes one round trip less; in clear a challenge is better.
_MECHANISMS = {True: ("plain", "login", "cram-md5"), False: ("cram-md5", "plain", "login")}
_NO_LOGIN = "the settings have no login"
FAREWELL_SECONDS = 0.5


class Conversation:
    """Speaks to *server* through *sock* and notes in *journal* what it hears; `hidden` must not be shown."""

    def __init__(  # noqa: PLR0913  # all of it is needed from the first word on
        self,
        journal: Journal,
        server: MailServer,
        *,
        sock: socket.socket,
        context: ssl.SSLContext,
        oauth2: OAuth2Tokens,
        ehlo_name: str | None,
    ) -> None:
        self._journal = journal
        self._server = server
        self._oauth2 = oauth2
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=sock,
            use_tls=server.security is ConnectionSecurity.IMPLICIT_TLS,
            start_tls=False,  # it would be an offer; ours is a demand, below
            tls_context=context,
            local_hostname=ehlo_name or _own_address(sock),
            timeout=None,  # the deadline is for the whole
        )
        self.hidden: Sequence[str] = credential_forms(server)

    def close(self) -> None:
        """Say QUIT if there is somebody to say it to, and close without waiting for an answer."""
        transport = self._client.transport
        if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
            transport.write(b"QUIT\r\n")
            # A TLS connection waits for the other side's farewell when it is closed, for half a minute.
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, transport.abort)
        self._client.close()

    async def hold(self, recipient: str | None) -> None:
        """Everything, to the end. Raises `Refused` and what is in `failures.FOREIGN`."""
        await self._greet()
        await self._secure()
        await self._authenticate()
        await self._send(recipient)

    async def _greet(self) -> None:
        if self._server.security is ConnectionSecurity.IMPLICIT_TLS:
            self._journal.enter(ProbeStage.SECURE)
            await self._connect_securely()
        else:
            self._journal.enter(ProbeStage.GREET)
            self._observe(await self._client.connect())
        self._observe(await self._client.ehlo())

    async def _connect_securely(self) -> None:
        """Handshake and greeting are one call; what it raises tells how far it came."""
        try:
            greeting = await self._client.connect()
        except aiosmtplib.SMTPConnectError as error:
            if isinstance(error, aiosmtplib.SMTPConnectResponseError) or isinstance(
                error.__cause__, aiosmtplib.SMTPException
            ):
                self._journal.enter(ProbeStage.GREET)
            raise
        self._journal.observe(note=self._tls())
        self._journal.enter(ProbeStage.GREET)
        self._observe(greeting)

    async def _secure(self) -> None:
        if self._server.security is ConnectionSecurity.NONE:
            self._journal.skip(ProbeStage.SECURE, "the settings say: no encryption")
        if self._server.security is ConnectionSecurity.STARTTLS:
            self._journal.enter(ProbeStage.SECURE)
            self._require_starttls()
            await self._client.starttls()
            self._journal.observe(note=self._tls())
            # What was offered in clear is forgotten (RFC 3207 4.2).
            await self._client.ehlo()

    def _require_starttls(self) -> None:
        if not self._client.supports_extension("starttls"):
            explanation = "the server does not offer STARTTLS on this port."
            advice = "Use implicit TLS, commonly on port 465, or another port of this server, commonly 587."
            raise Refused(FailureCode.STARTTLS_NOT_OFFERED, explanation, advice, Setting.SECURITY)

    async def _authenticate(self) -> None:
        match self._server.authentication:
            case PasswordAuthentication(username=username, password=password) if password is not None:
                self._journal.enter(ProbeStage.AUTHENTICATE)
                await self._log_in(username, password.reveal())
            case OAuth2ClientCredentials() as login:
                self._journal.enter(ProbeStage.AUTHENTICATE)
                await self._log_in_by_token(login)
            case _:
                self._journal.skip(ProbeStage.AUTHENTICATE, _NO_LOGIN)

    async def _log_in(self, username: str, password: str) -> None:
        """One attempt by one mechanism: three wrong ones would lock an account."""
        encrypted = self._server.security is not ConnectionSecurity.NONE
        offered = {name.lower() for name in self._client.server_auth_methods}
        mechanism = next((name for name in _MECHANISMS[encrypted] if name in offered), None)
        attempts = {
            "plain": self._client.auth_plain,
            "login": self._client.auth_login,
            "cram-md5": self._client.auth_crammd5,
        }
        if mechanism is None:
            raise _not_offered("a login by password (PLAIN, LOGIN or CRAM-MD5)")
        self._journal.observe(note=mechanism.upper())
        self._observe(await attempts[mechanism](username, password))

    async def _log_in_by_token(self, login: OAuth2ClientCredentials) -> None:
        if "xoauth2" not in {name.lower() for name in self._client.server_auth_methods}:
            raise _not_offered("a login by OAuth2 (XOAUTH2)")
        token = await self._oauth2.token(login)
        self.hidden = credential_forms(self._server, token)
        self._journal.observe(note="XOAUTH2")
        self._observe(await self._client.auth_xoauth2(login.username, token))

    async def _send(self, recipient: str | None) -> None:
        sender = self._server.sender
        self._journal.enter(ProbeStage.SENDER)
        self._observe(await self._client.mail(sender.address))
        if recipient is None:
            await self._client.rset()
            note = "no recipient was given, so no mail was sent"
            self._journal.skip(ProbeStage.RECIPIENT, note)
            self._journal.skip(ProbeStage.CONTENT, note)
            return
        self._journal.enter(ProbeStage.RECIPIENT)
        self._observe(await self._client.rcpt(recipient))
        self._journal.enter(ProbeStage.CONTENT)
        message = compose(sender, recipient, self._server.host, datetime.now(UTC))
        self._observe(await self._client.data(message))

    def _observe(self, answer: aiosmtplib.SMTPResponse) -> None:
        self._journal.observe(reply=reply(answer.code, answer.message, self.hidden))

    def _tls(self) -> str:
        session = self._client.get_transport_info("ssl_object")
        return f"{session.version()} {session.cipher()[0]}" if session else ""


def _not_offered(what: str) -> Refused:
    explanation = f"the server does not offer {what}."
    advice = "Use another way to log in, none if the server wants none, or the port for message submission, 587."
    return Refused(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation, advice, Setting.AUTHENTICATION)


def _own_address(sock: socket.socket) -> str:
    """The address literal of RFC 5321 4.1.3, for machines without a name that others know."""
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
