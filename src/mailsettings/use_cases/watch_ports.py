"""What checks on schedule need from the outside, as Protocols like those in `ports`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Protocol

from mailsettings.domain.monitoring import (
    Health,
    MonitoredServer,
    MonitoringState,
    MonitoringSummary,
    WaitingEvent,
)
from mailsettings.use_cases.mail_server_ports import MailServerReads
from mailsettings.use_cases.ports import AuditLog


class Leases(Protocol):
    """Work that one process does for all."""

    async def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease for so long, unless it is somebody else's; whether it is *holder*'s now."""
        ...

    async def holds(self, name: str, holder: str) -> bool:
        """Whether the lease is *holder*'s and has not run out."""
        ...

    async def give_up(self, name: str, holder: str) -> None:
        """Leave the lease to others, if it is *holder*'s."""
        ...


class WatchReads(Protocol):
    """What is known of each mail server."""

    async def due(self, interval: int, again_after: int, limit: int) -> Sequence[int]:
        """At most *limit* ids of servers to check.

        Each is due once in *interval* seconds, and *again_after* seconds after a failure that is in doubt.
        """
        ...

    async def list(self) -> Sequence[MonitoredServer]:
        """All stored servers by id, with what is known of each."""
        ...

    async def summary(self) -> MonitoringSummary:
        """All servers together."""
        ...


class WatchStates(Protocol):
    """The same, to be changed."""

    async def now(self) -> float:
        """Seconds since the epoch, by a clock that all processes agree on."""
        ...

    async def state(self, server_id: int) -> MonitoringState | None:
        """What is known of this server, be it from before a change of its settings."""
        ...

    async def keep(self, state: MonitoringState) -> None:
        """Keep *state* in place of what is known of its server."""
        ...

    async def version_of(self, server_id: int) -> int | None:
        """Which version of the server is stored; None if there is none."""
        ...

    async def secret_expiry(self, server_id: int) -> date | None:
        """When its secret ends, as far as somebody told us."""
        ...

    async def set_secret_expiry(self, server_id: int, day: date | None) -> None:
        """Note when its secret ends."""
        ...


class OutboxReads(Protocol):
    """What waits to be told elsewhere."""

    async def due(self, limit: int) -> Sequence[WaitingEvent]:
        """At most *limit* of those whose time has come."""
        ...


class Outbox(Protocol):
    """The same, to be changed."""

    async def now(self) -> float:
        """Seconds since the epoch, by a clock that all processes agree on."""
        ...

    async def add(self, event: WaitingEvent) -> bool:
        """Let *event* wait for its first attempt; False if too many are waiting already."""
        ...

    async def postpone(self, event: WaitingEvent, next_at: float) -> None:
        """Count a failed attempt, and leave *event* alone until *next_at*."""
        ...

    async def remove(self, event_id: str) -> None:
        """It has been told, or is given up."""
        ...


class WatchView(Protocol):
    """The last committed state, as far as the watch goes."""

    @property
    def mail_servers(self) -> MailServerReads:
        """The mail servers."""
        ...

    @property
    def monitoring(self) -> WatchReads:
        """What is known of them."""
        ...

    @property
    def outbox(self) -> OutboxReads:
        """What waits to be told."""
        ...


class WatchWork(Protocol):
    """One transaction, as far as the watch goes."""

    @property
    def mail_servers(self) -> MailServerReads:
        """The mail servers."""
        ...

    @property
    def monitoring(self) -> WatchStates:
        """What is known of them."""
        ...

    @property
    def leases(self) -> Leases:
        """Who does what for all."""
        ...

    @property
    def outbox(self) -> Outbox:
        """What waits to be told."""
        ...

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...


class WatchStore(Protocol):
    """A `Store` that the watch can be kept in."""

    def reading(self) -> AbstractAsyncContextManager[WatchView]:
        """The last committed state."""
        ...

    def writing(self) -> AbstractAsyncContextManager[WatchWork]:
        """A transaction; one at a time."""
        ...


class WebhookSender(Protocol):
    """Tells somebody elsewhere."""

    async def deliver(self, event: WaitingEvent) -> str | None:
        """One attempt, within a time limit: None when it was taken, else what went wrong, in a few words.

        Never raises for what the receiver or the network does.
        """
        ...


class WatchMeter(Protocol):
    """Counts what this process does on watch; how the servers are is in `MonitoringStatus.summary`, for all."""

    def checked(self, found: Health) -> None:
        """A check has ended, with this result."""
        ...

    def delivered(self, *, taken: bool) -> None:
        """An attempt to tell somebody has ended."""
        ...


class Uncounted:
    """A `WatchMeter` for those who do not count."""

    def checked(self, found: Health) -> None:
        """Nothing."""

    def delivered(self, *, taken: bool) -> None:
        """Nothing."""
