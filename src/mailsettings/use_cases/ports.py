"""The interfaces of the use cases: to parts with a second implementation, or with a foreign system behind them.

They are protocols, so that `smtp`, `auth`, `webhook` and `telemetry` do not import the use cases.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from mailsettings.domain.access import IssuedToken, TokenClaims
from mailsettings.domain.connection_test import ProbeListener, ProbeReport
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.metrics import Exposition, Gauge
from mailsettings.domain.monitoring import Health, WaitingEvent


class Prober(Protocol):
    """Tests mail servers."""

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        """Connect, secure, log in and send one message to *recipient*; without one, stop before sending.

        *listener* gets each event of the test, without any secret.
        Never raises for what the mail server or the network does: the report says it.
        """
        ...


class PasswordHasher(Protocol):
    """Turns passwords into hashes. Both calls are slow by design and do not block the event loop.

    Both raise `TooManyLogins` when too many calls are waiting.
    """

    async def hash(self, password: str) -> str:
        """Return a new hash of *password*."""
        ...

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        """Return whether they fit; as slow for None (no such account) as for a real hash.

        The call counts against the limit of each of *callers*.
        """
        ...


class TokenReader(Protocol):
    """Verifies access tokens."""

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* claims. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        ...


class TokenIssuer(Protocol):
    """Makes access tokens."""

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        """Return a token that allows *subject* what *grants* allow; *stamp* is that of its account, if any."""
        ...


class WebhookSender(Protocol):
    """Sends events to another service."""

    async def deliver(self, event: WaitingEvent) -> str | None:
        """Make one attempt, within a time limit. Return None if it succeeded, else the problem in a few words.

        Never raises for what the receiver or the network does.
        """
        ...


class Meter(Protocol):
    """Counts what happens. No call waits or fails, and no label names a caller or a mail server."""

    def probed(self, source: str, report: ProbeReport) -> None:
        """Count a connection test; *source* says what asked for it, in one of a few words of our own."""
        ...

    def login_failed(self, *, delayed: bool) -> None:
        """Count a login that failed: by a wrong name or secret, or *delayed* because of earlier failures."""
        ...

    def checked(self, found: Health) -> None:
        """Count a scheduled check with this result."""
        ...

    def delivered(self, *, taken: bool) -> None:
        """Count an attempt to deliver an event."""
        ...

    async def exposition(self, gauges: Sequence[Gauge], accept: str = "", /) -> Exposition:
        """Return all counts of every process of this server, and *gauges*, in a format that *accept* names."""
        ...
