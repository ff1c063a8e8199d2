"""Fixtures of all tests, each plugin a module of `tests/support`; and the event loop that they run on."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from support.timeouts import GUARD_SECONDS

# The clients of the tests: five seconds are too few on a busy machine. The service names its own limits.
for limit in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, limit, GUARD_SECONDS)
# The same examples in each run: a failure is reproducible everywhere. `make fuzz` finds new examples. No limits of
# time: on a busy machine an example takes longer.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
pytest_plugins = [
    f"support.{name}"
    for name in (
        *("browser", "canary", "connections", "databases", "openid_issuer", "smtp_server", "token_authority"),
        *("probers", "service", "browser_service", "real_service", "sendmail_program"),
    )
]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """What speaks to sockets runs on the loop that the service runs on, everything else on asyncio's own."""
    on_sockets = item.nodeid.startswith(("tests/smtp/", "tests/abuse/", "tests/relay/"))
    return {"uvloop": uvloop.new_event_loop} if on_sockets else {"asyncio": asyncio.new_event_loop}
