"""What the relay needs of the rest of the service: the composition root fills it with use cases."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device, Peer
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.message_log import MessageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Callables; each that reads may raise `StoreUnavailable`.

    `log_in` takes name, secret and peer; it raises `LoginRefused`, also for a disabled device and a peer outside
    its networks, and `TooManyLogins`. `trusted_device` returns the device that trusts the network of
    *peer*, or None.
    `current` returns a device as it is now, or None if it is disabled or gone; `mail_server` returns the enabled
    mail server of a device, or None. These three show a time after the moment, so that reads of one command cost
    one question to the database. `admit` counts a message and returns whether the device's rate allows it.
    `note` puts a record into the message log; it never waits and never raises.
    """

    log_in: Callable[[str, str, Peer], Awaitable[Device]]
    trusted_device: Callable[[Peer, Moment], Awaitable[Device | None]]
    current: Callable[[Device, Moment], Awaitable[Device | None]]
    mail_server: Callable[[Device, Moment], Awaitable[StoredMailServer | None]]
    admit: Callable[[Device], Awaitable[bool]]
    note: Callable[[MessageRecord], None]
