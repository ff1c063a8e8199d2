"""The conversation with one device (RFC 5321, RFC 6409): reads the commands, and answers each."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import ClassVar

from mailsettings.domain.errors import LoginRefused, StoreUnavailable, TooManyLogins
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.client import Client, Disconnected, moment_of_hello
from mailsettings.relay.incoming.commands import Command, parse_command
from mailsettings.relay.incoming.connection import ClientGone, LineTooLong, TooSlow
from mailsettings.relay.incoming.limits import MAX_COMMANDS_BEFORE_LOGIN, MAX_ERRORS, MAX_REFUSED_LOGINS
from mailsettings.relay.incoming.login import MECHANISMS, Credentials, read_credentials
from mailsettings.relay.incoming.mail_commands import MailCommands
from mailsettings.relay.incoming.mail_rules import max_message_bytes
from mailsettings.relay.incoming.transaction import Transaction
from mailsettings.relay.replies import Refused, Reply

_log = logging.getLogger("mailsettings.relay")
_DONE = Reply(250, "2.0.0", "OK")
_BYE = Reply(221, "2.0.0", "Goodbye")
_HELP = Reply(214, "2.0.0", "See RFC 5321 and RFC 6409")
_CANNOT_VERIFY = Reply(252, "2.5.2", "Cannot verify the address; send a message to it")
_START_TLS = Reply(220, "2.0.0", "Ready to start TLS")
_HTTP_VERBS = frozenset({"CONNECT", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
_BEFORE_TLS = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "QUIT", "HELP"})
_NAME_IN_LOG = re.compile(r"[a-z0-9-]{1,25}")
"""The form of a device's name; a secret, which a device may send in its place, is longer."""


class Submission:
    """One client's conversation, from the greeting to the end."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection = client.connection
        self._limits = client.relay.limits
        self._mail = MailCommands(client)
        self._login_deadline = asyncio.get_running_loop().time() + self._limits.login_timeout_seconds
        self._errors = 0
        self._commands_before_login = 0
        self._refused_logins = 0
        self._is_over = False
        self._is_ending = False

    async def run(self) -> None:
        """Talk until the client or the relay ends the connection."""
        try:
            self._say(Reply(220, None, f"{self._client.relay.host_name} ESMTP mail-settings"))
            while not self._is_over:
                await self._answer(await self._next_line())
        except Disconnected as last:
            self._say(last.reply)
        except TooSlow:
            self._say(refusals.TIMED_OUT)
        except LineTooLong:
            self._say(refusals.LINE_TOO_LONG)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            self._say(refusals.ENDING)
            raise
        finally:
            self._mail.abort()

    def end(self) -> None:
        """End the conversation after the message in progress, if there is one."""
        self._is_ending = True
        if self._mail.transaction is None:
            self._connection.interrupt(Disconnected(refusals.ENDING))

    def _say(self, reply: Reply) -> None:
        self._connection.write(reply.encode())

    async def _next_line(self) -> bytes:
        """Return the next line. A client that holds a place and is silent loses the place first."""
        transaction = self._mail.transaction
        if self._is_ending and transaction is None:
            raise Disconnected(refusals.ENDING)
        if transaction is not None and transaction.holds_place:
            try:
                return await self._next_line_in_place(transaction)
            except TooSlow:
                transaction.fail(Refused(refusals.TOO_SLOW))
        return await self._connection.read_line(self._timeout())

    async def _next_line_in_place(self, transaction: Transaction) -> bytes:
        left = self._limits.envelope_timeout_seconds - transaction.seconds_with_place
        if left <= 0:
            raise TooSlow
        return await self._connection.read_line(min(self._limits.silence_timeout_seconds, left))

    def _timeout(self) -> float:
        if self._client.device is not None:
            return self._limits.command_timeout_seconds
        return max(0.0, self._login_deadline - asyncio.get_running_loop().time())

    async def _answer(self, line: bytes) -> None:
        try:
            await self._obey(parse_command(line))
        except Disconnected:
            raise
        except Refused as refused:
            self._count_error(refused.reply)
        except StoreUnavailable:
            self._say(refusals.OWN_TROUBLE)
        except (ClientGone, TooSlow, LineTooLong):
            raise
        except Exception:  # one submission must not end the others, and its client may try again  # noqa: BLE001
            _log.exception("A submission failed because of an error in this service.")
            self._mail.abort()
            self._say(refusals.OWN_TROUBLE)

    def _count_error(self, reply: Reply) -> None:
        """Answer with *reply*; end the conversation after too many replies about the form of commands."""
        self._say(reply)
        self._errors += 500 <= reply.code < 510  # noqa: PLR2004  # RFC 5321 4.2.1: syntax and order
        if self._errors > MAX_ERRORS:
            raise Disconnected(refusals.TOO_MANY_ERRORS)

    async def _obey(self, command: Command) -> None:
        if self._client.device is None:
            self._commands_before_login += 1
            if self._commands_before_login > MAX_COMMANDS_BEFORE_LOGIN:
                raise Disconnected(refusals.TOO_MANY_ERRORS)
        if command.verb in _HTTP_VERBS:
            raise Disconnected(refusals.NOT_SMTP)
        obey = self._commands.get(command.verb)
        if obey is None:
            raise Refused(refusals.UNKNOWN_COMMAND)
        if self._client.needs_tls and command.verb not in _BEFORE_TLS:
            raise Refused(refusals.TLS_FIRST)
        await obey(self, command.argument)

    async def _ehlo(self, argument: str) -> None:
        await self._hello(argument, is_extended=True)
        self._say(Reply(250, None, "\n".join([self._client.relay.host_name, *await self._extensions()])))

    async def _helo(self, argument: str) -> None:
        await self._hello(argument, is_extended=False)
        self._say(Reply(250, None, self._client.relay.host_name))

    async def _hello(self, argument: str, *, is_extended: bool) -> None:
        """Greet again, which ends a message in progress (RFC 5321 4.1.4)."""
        if not argument:
            raise Refused(refusals.SYNTAX)
        self._mail.abort()
        self._client.hello, self._client.is_extended = argument, is_extended
        if not self._client.needs_tls:
            with suppress(StoreUnavailable):  # AUTH and MAIL answer that
                await self._client.find_trusted(moment_of_hello())

    async def _extensions(self) -> list[str]:
        """Return the keywords for EHLO, which depend on the device and its mail server once it is known."""
        relay, device = self._client.relay, self._client.device
        server = None
        with suppress(StoreUnavailable):
            server = await relay.services.mail_server(device, moment_of_hello()) if device else None
        features = relay.outgoing.features(server) if server else None
        offered = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"]
        offered.append(f"SIZE {max_message_bytes(relay, device, server)}")
        if self._client.may_start_tls:
            offered.append("STARTTLS")
        if not self._client.needs_tls and not self._client.is_logged_in:
            offered.append(f"AUTH {MECHANISMS}")
        if features is not None and features.offers("SMTPUTF8"):
            offered.append("SMTPUTF8")
        return offered

    async def _starttls(self, argument: str) -> None:
        context = self._client.tls_context
        if argument:
            raise Refused(refusals.NO_PARAMETERS)
        if self._connection.is_secure:
            raise Refused(refusals.TLS_ALREADY)
        if context is None:
            raise Refused(refusals.NOT_IMPLEMENTED)
        self._mail.abort()
        self._say(_START_TLS)
        self._client.forget()
        self._connection.start_tls(context)
        await self._connection.shake_hands(self._timeout())

    async def _auth(self, argument: str) -> None:
        client = self._client
        if client.is_logged_in:
            raise Refused(refusals.LOGIN_ALREADY)
        if not client.is_extended:
            raise Refused(refusals.NO_EXTENSION)
        if self._mail.transaction is not None:
            raise Refused(refusals.NO_LOGIN_NOW)
        credentials = await read_credentials(argument, self._ask)
        try:
            client.device = await client.relay.services.log_in(credentials.name, credentials.secret, client.peer)
        except LoginRefused:
            self._refuse_login(credentials)
        except TooManyLogins:
            raise Refused(refusals.TOO_MANY_LOGINS) from None
        except StoreUnavailable:
            raise Refused(refusals.LOGIN_UNAVAILABLE) from None
        client.is_logged_in = True
        client.relay.counters.login(True)  # noqa: FBT003  # a callback
        self._say(refusals.LOGIN_ACCEPTED)

    def _refuse_login(self, credentials: Credentials) -> None:
        client = self._client
        client.relay.counters.login(False)  # noqa: FBT003  # a callback
        name = credentials.name if _NAME_IN_LOG.fullmatch(credentials.name) else "(not a name)"
        _log.warning("Refused the login of device %s from %s.", name, client.peer)
        self._refused_logins += 1
        if self._refused_logins >= MAX_REFUSED_LOGINS:
            self._say(refusals.LOGIN_REFUSED)
            raise Disconnected(refusals.TOO_MANY_ERRORS)
        raise Refused(refusals.LOGIN_REFUSED)

    async def _ask(self, challenge: str) -> str:
        self._say(Reply(334, None, challenge))
        line = await self._connection.read_line(self._timeout())
        if not line.endswith(b"\r\n") or not line.isascii():
            raise Refused(refusals.NOT_A_LINE)
        return line[:-2].decode("ascii")

    async def _mail_from(self, argument: str) -> None:
        if not self._client.hello:
            raise Refused(refusals.HELLO_FIRST)
        if self._is_ending:
            raise Disconnected(refusals.ENDING)
        await self._mail.mail(argument)

    async def _rcpt_to(self, argument: str) -> None:
        await self._mail.recipient(argument)

    async def _data(self, argument: str) -> None:
        await self._mail.data(argument)

    async def _rset(self, _argument: str) -> None:
        self._mail.abort()
        self._say(_DONE)

    async def _noop(self, _argument: str) -> None:
        self._say(_DONE)

    async def _help(self, _argument: str) -> None:
        self._say(_HELP)

    async def _vrfy(self, _argument: str) -> None:
        self._say(_CANNOT_VERIFY)

    async def _quit(self, _argument: str) -> None:
        self._say(_BYE)
        self._is_over = True

    async def _not_offered(self, _argument: str) -> None:
        raise Refused(refusals.NOT_IMPLEMENTED)

    _commands: ClassVar[Mapping[str, "Callable[[Submission, str], Awaitable[None]]"]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "STARTTLS": _starttls,
        "AUTH": _auth,
        "MAIL": _mail_from,
        "RCPT": _rcpt_to,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "QUIT": _quit,
        "HELP": _help,
        "VRFY": _vrfy,
        **dict.fromkeys(("BDAT", "BURL", "ETRN", "EXPN", "TURN", "XCLIENT", "XFORWARD"), _not_offered),
    }
