"""Hand messages on: the pool of logged-in connections, and one message's way over a connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.replies import Delivered, Reply


@dataclass(frozen=True, slots=True)
class MailCommand:
    """The envelope sender with its parameters; `size` is the announced size in bytes, if any."""

    sender: str
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False


class Transfer(Protocol):
    """One message on its way: recipients, then the content, then the answer.

    After an exception the transfer is over. Each method may raise `Refused`.
    """

    recipient_replies: Sequence[Reply]
    """The replies to the recipients so far, in their order."""

    async def add(self, recipients: Sequence[str], *, data: bool) -> Sequence[Reply]:
        """Pass *recipients* on, with DATA right behind them if *data*, and return the reply to each."""

    async def start_content(self) -> None:
        """Wait for the mail server's 354, after DATA, which is sent if it was not sent yet."""

    async def write(self, content: bytes) -> None:
        """Send content as it goes over the wire, with stuffed dots; wait while the mail server does not read."""

    async def finish(self) -> Delivered:
        """Send the final dot and return the acceptance. Raises `Refused`, `OutcomeUnknown`."""

    def abandon(self) -> None:
        """End the transfer so that nothing is sent: without a final dot. Does nothing after the end."""


class Outgoing(Protocol):
    """The way to all mail servers."""

    def require_usable(self, server: StoredMailServer) -> None:
        """Raise `Refused` while the relay waits after a refused login at *server*."""

    def features(self, server: StoredMailServer) -> ServerGreeting | None:
        """Return what *server* last offered, with its size limit; None if it is not known yet."""

    async def begin(
        self, server: StoredMailServer, mail: MailCommand, recipients: Sequence[str], *, data: bool
    ) -> Transfer:
        """Take a place, pass on *mail*, *recipients*, and DATA if *data*; return with the replies to *recipients*.

        Waits within the hold time for a place, and through temporary refusals of MAIL. Raises `Refused`.
        """
