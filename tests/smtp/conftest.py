"""A prober that may reach the servers of the tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any

import pytest

from mailsettings.smtp.egress import EgressPolicy
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSTrust

MakeProber = Callable[..., SMTPProber]
LOOPBACK = EgressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")), None)


@pytest.fixture
async def make_prober() -> AsyncIterator[MakeProber]:
    """Makes probers that are closed at the end; loopback and clear text are allowed unless said otherwise."""
    async with AsyncExitStack() as stack:

        def make(**changes: Any) -> SMTPProber:
            settings: dict[str, Any] = {
                "egress": LOOPBACK,
                "ehlo_name": None,
                "deadline_seconds": 5,
                "allow_cleartext_credentials": True,
                "trust": TLSTrust(),
                "oauth2": OAuth2Tokens(),
            }
            prober = SMTPProber(**(settings | changes))
            stack.push_async_callback(prober.close)
            return prober

        yield make


@pytest.fixture
def prober(make_prober: MakeProber) -> SMTPProber:
    return make_prober()
