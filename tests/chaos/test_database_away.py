"""While the database is away: 503 soon, for everybody and of everything, and nothing left behind afterwards."""

import asyncio
import gc
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender

from support.postgres import Postgres
from support.request_bodies import oracle
from support.service import MAIL_SERVER, SMTP_SETTINGS
from support.tcp_proxy import Proxy
from support.timeouts import GUARD_SECONDS

RESPONSE_TIMEOUT_SECONDS = 3
RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))

Outage = Callable[[Postgres, Proxy], AbstractAsyncContextManager[None]]


@pytest.fixture
def database_url(proxied_url: str) -> str:
    """What the service is started on."""
    return proxied_url


@asynccontextmanager
async def stopped(postgres: Postgres, _proxy: Proxy) -> AsyncIterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@asynccontextmanager
async def refusing(_postgres: Postgres, proxy: Proxy) -> AsyncIterator[None]:
    proxy.refuse()
    yield
    proxy.allow()


@asynccontextmanager
async def frozen(postgres: Postgres, _proxy: Proxy) -> AsyncIterator[None]:
    with postgres.frozen():
        yield


@asynccontextmanager
async def unheard(_postgres: Postgres, proxy: Proxy) -> AsyncIterator[None]:
    proxy.hold()
    yield
    proxy.resume()


@asynccontextmanager
async def lost(_postgres: Postgres, proxy: Proxy) -> AsyncIterator[None]:
    """As `unheard`, and what was said meanwhile never arrives: an address that moved to another machine."""
    proxy.hold()
    yield
    proxy.forget()
    proxy.resume()


OUTAGES = pytest.mark.parametrize(
    "outage",
    [
        stopped,
        refusing,
        pytest.param(
            frozen, marks=pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
        ),
        unheard,
        lost,
    ],
)


def left_behind(proxy: Proxy) -> tuple[int, int, int]:
    """Threads, tasks and connections to the database of this process; asyncio's pool keeps its few threads."""
    gc.collect()
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(threads), len(asyncio.all_tasks()), len(list(connections_to(proxy.port)))


def connections_to(port: int) -> Iterator[int]:
    for entry in list(Path("/dev/fd").iterdir()):
        with suppress(OSError):  # no socket, or none that is connected
            found = socket.socket(fileno=int(entry.name))
            try:
                if found.getpeername() == ("127.0.0.1", port):
                    yield port
            finally:
                found.detach()


async def asked(http: httpx.AsyncClient, method: str, path: str) -> tuple[httpx.Response, float]:
    begun = time.monotonic()
    body = oracle("a password") if method == "PUT" else None
    answer = await http.request(method, path, json=body)
    return answer, time.monotonic() - begun


@OUTAGES
async def test_all_who_ask_are_told_soon_to_come_back_and_nothing_is_left_behind(
    http: httpx.AsyncClient, postgres: Postgres, proxy: Proxy, outage: Outage
) -> None:
    """Case 40. Many writers at once, so that each would have to wait for those before it."""
    requests = [("PUT", MAIL_SERVER)] * 20 + [("GET", SMTP_SETTINGS)] * 10
    healthy = await asyncio.gather(*(asked(http, *request) for request in requests))
    before = left_behind(proxy)

    async with outage(postgres, proxy):
        answers = await asyncio.gather(
            *(asked(http, *request) for request in [*requests, ("GET", "/health/ready")])
        )
        live, _ = await asked(http, "GET", "/health/live")
        during = left_behind(proxy)
    back = await back_again(http)

    assert {answer.status_code for answer, _ in healthy} == {200}
    assert {(answer.status_code, answer.headers.get("Retry-After")) for answer, _ in answers} == {(503, "5")}
    # One after the other they would take twenty times as long.
    assert max(seconds for _, seconds in answers) < 10 * RESPONSE_TIMEOUT_SECONDS
    assert live.status_code == 200
    assert back.status_code == 200
    assert [now <= then for now, then in zip(during, before, strict=True)] == [True] * 3
    assert [now <= then for now, then in zip(left_behind(proxy), before, strict=True)] == [True] * 3


async def back_again(http: httpx.AsyncClient) -> httpx.Response:
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            answer, _ = await asked(http, "PUT", MAIL_SERVER)
            if answer.is_success:
                return answer
            await asyncio.sleep(0.05)
