"""Talk SMTP to one server, from the greeting to the last reply, stage by stage."""

import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiosmtplib import SMTPResponse

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.smtp.diagnosis.deadline import AWAITED_GREETING, AWAITED_HANDSHAKE
from mailsettings.smtp.diagnosis.inspection import identify_protocol
from mailsettings.smtp.envelope import Envelope
from mailsettings.smtp.errors import ReplyError, StageFailed
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.login import XOAUTH2, log_in, log_in_by_token, password_mechanism, require_xoauth2
from mailsettings.smtp.message import compose
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.redaction import credential_forms
from mailsettings.smtp.session import Session

_NO_LOGIN = "the settings have no login"
_NO_RECIPIENT = "no recipient was given, so no mail was sent"
_COMPLETION, _INTERMEDIATE, _TRANSIENT = 2, 3, 4  # RFC 5321 4.2.1: first digits

_COMMANDS = {
    ProbeStage.SENDER: "MAIL FROM",
    ProbeStage.RECIPIENT: "RCPT TO",
    ProbeStage.CONTENT: "DATA",
}

OpenSession = Callable[[ssl.SSLContext | None], Awaitable[Session]]
WhileWaiting = Callable[[ProbeStage, Awaitable[None]], Awaitable[None]]


class Conversation:
    """Talks to *server*, encrypted with *context* (None: not encrypted), and records each stage in *journal*."""

    def __init__(
        self,
        journal: Journal,
        server: MailServer,
        context: ssl.SSLContext | None,
        oauth2: OAuth2Tokens,
    ) -> None:
        self._journal = journal
        self._server = server
        self._context = context
        self._oauth2 = oauth2
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session, after `begin`."""
        assert self._session is not None  # noqa: S101  # `begin` comes first
        return self._session

    def close(self) -> None:
        """Send QUIT if the session is open, without waiting for the reply."""
        if self._session is not None:
            self._session.close()

    async def begin(self, open_session: OpenSession, while_waiting: WhileWaiting) -> None:
        """Open the session and read the greeting; *while_waiting* starts the fallback scan if that takes long."""
        implicit = self._server.security is ConnectionSecurity.IMPLICIT_TLS
        self._journal.enter(ProbeStage.SECURE if implicit else ProbeStage.GREET)
        self._journal.awaited = AWAITED_HANDSHAKE
        await while_waiting(self._journal.stage, self._open(open_session, self._context if implicit else None))
        if implicit:
            self._journal.observe(tls=self.session.tls)
            self._journal.enter(ProbeStage.GREET)
        await while_waiting(self._journal.stage, self._greet())

    async def log_in(self) -> None:
        """Run the stages from EHLO to the login. Raises the errors in `errors`, and `TokenRequestFailed`."""
        await self._ehlo()
        await self._secure()
        await self._authenticate()

    async def _open(self, open_session: OpenSession, context: ssl.SSLContext | None) -> None:
        self._session = await open_session(context)

    async def _greet(self) -> None:
        self._journal.ehlo_name = self.session.ehlo_name
        self._journal.awaited = AWAITED_GREETING
        greeting = await self.session.greeting()
        if identify_protocol(greeting.code, greeting.message):
            raise ReplyError(greeting.code, greeting.message)
        self._journal.greeted = True
        self._observe(greeting)

    async def _ehlo(self) -> None:
        self._journal.awaited = "the reply to EHLO"
        await self.session.ehlo()
        self._journal.observe(greeting=self.session.server)

    async def _secure(self) -> None:
        if self._context is None:
            self._journal.skip(ProbeStage.SECURE, "the settings say: no encryption")
        elif self._server.security is ConnectionSecurity.STARTTLS:
            self._journal.enter(ProbeStage.SECURE)
            if not self.session.server.offers("STARTTLS"):
                raise StageFailed(FailureCode.STARTTLS_NOT_OFFERED)
            self._journal.awaited = "the reply to STARTTLS"
            try:
                await self.session.start_tls(self._context, self._server.host)
            finally:
                if self.session.starttls_accepted:
                    self._journal.awaited = AWAITED_HANDSHAKE
            self._journal.observe(tls=self.session.tls)
            await self._ehlo()  # RFC 3207 4.2: the client must forget what the server offered before TLS

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
        encrypted = self._server.security is not ConnectionSecurity.NONE
        mechanism = password_mechanism(self.session.server.mechanisms, encrypted=encrypted)
        self._journal.observe(mechanism=mechanism)
        self._journal.awaited = f"the reply to AUTH {mechanism}"
        self._observe(await log_in(self.session, mechanism, username, password))

    async def _log_in_by_token(self, login: OAuth2ClientCredentials) -> None:
        require_xoauth2(self.session.server.mechanisms)
        self._journal.awaited = "the authority's access token"
        token = await self._oauth2.token(self._server, login)
        self._journal.awaited = f"the reply to AUTH {XOAUTH2}"
        self._journal.hidden = credential_forms(self._server, token.text)
        self._journal.permissions = token.permissions
        self._journal.token_was_cached = token.was_cached
        self._journal.observe(mechanism=XOAUTH2)
        try:
            self._observe(await log_in_by_token(self.session, login.username, token.text))
        except ReplyError as error:
            # The token carries its permissions, so a refused token would fail again after an administrator's fix.
            if error.code // 100 != _TRANSIENT:
                self._oauth2.forget(self._server, token)
            raise

    async def send(self, recipient: str | None, request_id: str | None) -> None:
        """Send the envelope and the mail; with PIPELINING the commands travel together (RFC 2920 3.1).

        Without a recipient it ends after MAIL FROM, so that a test can check the sender without sending mail.
        """
        self._journal.enter(ProbeStage.SENDER)
        sender = self._server.sender
        self._journal.sent = (sender.address, *([] if recipient is None else [recipient]))
        envelope = Envelope(self.session)
        commands = [f"MAIL FROM:<{sender.address}>".encode()]
        if recipient is not None:
            commands += [f"RCPT TO:<{recipient}>".encode(), b"DATA"]
        together = self.session.server.offers("PIPELINING")
        if together:
            envelope.write(*commands)
        for number, stage in enumerate(
            (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT)[: len(commands)]
        ):
            if number:
                self._journal.enter(stage)
            self._journal.awaited = f"the reply to {_COMMANDS[stage]}"
            if not together:
                envelope.write(commands[number])
            self._observe(
                await envelope.reply(wanted=_INTERMEDIATE if stage is ProbeStage.CONTENT else _COMPLETION)
            )
        if recipient is None:
            self._journal.skip(ProbeStage.RECIPIENT, _NO_RECIPIENT)
            self._journal.skip(ProbeStage.CONTENT, _NO_RECIPIENT)
            return
        now = datetime.now(UTC)
        envelope.write_message(compose(sender, recipient, self._server.host, now, request_id))
        self._journal.message_sent = True
        self._journal.awaited = "the reply to the end of the message"
        self._observe(await envelope.reply(wanted=_COMPLETION))

    def _observe(self, answer: SMTPResponse) -> None:
        self._journal.observe(reply=self._journal.reply(answer.code, answer.message))
