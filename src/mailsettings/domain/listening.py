"""Where this program listens: addresses of listeners, and what each listener of the relay speaks."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Self

from mailsettings.domain.mail_server import MAX_PORT

_HOST_AND_PORT = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not listened on


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host name or address, and a port; `0.0.0.0` and `::` are all addresses of this machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address in `host:port` or `[address]:port`. Raises `ValueError`."""
        found = _HOST_AND_PORT.fullmatch(text)
        if found is None or not 1 <= int(found["port"]) <= MAX_PORT:
            raise ValueError("it must be like 127.0.0.1:9100 or [::1]:9100")
        return cls(str(IPv6Address(found["address"])) if found["address"] else found["host"], int(found["port"]))

    @property
    def reachable(self) -> "ListenAddress":
        """The address for a client on this machine."""
        return ListenAddress(_UNSPECIFIED.get(self.host, self.host), self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenerKind(StrEnum):
    """What a listener of the relay speaks, as in `starttls://0.0.0.0:587`."""

    STARTTLS = "starttls"
    TLS = "tls"
    """Implicit TLS (RFC 8314 3.3)."""
    PLAIN = "plain"
    """No encryption, for networks named for it only."""


@dataclass(frozen=True, slots=True)
class RelayListener:
    """A listener of the relay; with `old_tls` it also takes TLS 1.0 and 1.1."""

    kind: ListenerKind
    address: ListenAddress
    old_tls: bool = False

    @classmethod
    def parse(cls, text: str, *, old_tls: bool = False) -> Self:
        """Return the listener that *text* describes. Raises `ValueError`."""
        kind, _, address = text.partition("://")
        try:
            return cls(ListenerKind(kind), ListenAddress.parse(address), old_tls)
        except ValueError:
            raise ValueError(
                "it must be like starttls://0.0.0.0:587, tls://[::]:465 or plain://10.1.2.3:25"
            ) from None

    def __str__(self) -> str:
        return f"{self.kind}://{self.address}"


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """A relay that runs now; its listeners have addresses at which other machines reach them, where they can.

    `certificate` is its own certificate in PEM form, if it has one.
    """

    holder: str
    listeners: tuple[RelayListener, ...]
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class SubmissionAddress:
    """A host and a port that devices send to, and what the relay speaks there."""

    host: str
    port: int
    kind: ListenerKind
