"""Find this machine's name for EHLO: its full DNS name, if others can look it up.

Postfix, Exim, Exchange and Google's relay can be configured to refuse clients that send an address literal, or a
name without a domain. The look-up blocks as long as the resolver takes, so it runs once, on its own thread.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import ip_address

from mailsettings.network.threads import start_daemon

LOOKUP_TIMEOUT_SECONDS = 1.0
"""The first test waits this long for the name; later tests use it once it is known."""
_QUALIFIED = re.compile(r"(?=.{4,253}$)([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PRIVATE_TOP_LEVEL_DOMAINS = {
    *("local", "localdomain", "localhost", "internal", "lan", "home", "corp", "arpa"),
    *("test", "invalid", "example", "onion"),
}
"""Top-level domains for private use, unknown to public name servers (RFC 6761, RFC 6762)."""


def look_up_machine_name() -> str | None:
    """Return the machine's full name, if it resolves to an address other than loopback. Blocks."""
    try:
        name = socket.gethostname().lower()
        if "." not in name:
            name = (socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)[0][3] or "").lower()
        return name if is_public_name(name) and _has_public_address(name) else None
    except (OSError, UnicodeError):  # the resolver failed, or the name is not valid
        return None


def is_public_name(name: str) -> bool:
    """Return whether others may look up *name*: it has a domain, and not a domain for private use."""
    return _QUALIFIED.fullmatch(name) is not None and name.rpartition(".")[2] not in _PRIVATE_TOP_LEVEL_DOMAINS


def _has_public_address(name: str) -> bool:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return any(not ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


class MachineName:
    """Looks the name up once: at `begin`, or when it is first needed."""

    def __init__(self, look_up: Callable[[], str | None] = look_up_machine_name) -> None:
        self._look_up = look_up
        self._found: Future[str | None] | None = None

    def begin(self) -> "Future[str | None]":
        """Start the look-up, once, without waiting for it."""
        if self._found is None:
            self._found = start_daemon(self._look_up, "machine-name")
        return self._found

    async def get(self) -> str | None:
        """Return the name, or None if there is no public name or the look-up takes too long."""
        found = self.begin()
        if not found.done():
            waiting = asyncio.wrap_future(found)
            await asyncio.wait({waiting}, timeout=LOOKUP_TIMEOUT_SECONDS)
        # Without a name, EHLO sends the address.
        return found.result() if found.done() and found.exception() is None else None
