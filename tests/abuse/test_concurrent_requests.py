"""One principal's requests leave room for those of the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from mailsettings.store.transaction import Transaction

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, Caller, build_service

MOST = 32


class WaitingStore(LocalStore):
    """Reads wait until `go`, except those before `waits`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.waiting = 0
        self.waits = True
        self.all_here = asyncio.Event()
        self.go = asyncio.Event()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        if self.waits:
            self.waiting += 1
            if self.waiting == MOST:
                self.all_here.set()
            await self.go.wait()
        async with super().reading() as snapshot:
            yield snapshot


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
async def test_principal_over_its_limit_gets_429_and_others_200(path: str, sqlite_url: str) -> None:
    """Case 35, of requests of any kind."""
    store = WaitingStore(sqlite_url)
    transport = httpx.ASGITransport(build_service(store, ScriptedProber()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        admin, reader = Caller(http), Caller(http, "reader")
        # Reads of settings at the same time share one read of the database, those of the audit log do not.
        running = [asyncio.create_task(admin.send("GET", "/audit")) for _ in range(MOST)]
        await store.all_here.wait()
        refused = await admin.send("GET", path)
        store.waits = False
        other = await reader.send("GET", SMTP_SETTINGS)
        health = await admin.send("GET", "/health/live")
        store.go.set()
        answered = {answer.status_code for answer in await asyncio.gather(*running)}
        again = await admin.send("GET", SMTP_SETTINGS)
    await store.close()

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert set(refused.json()) == ({"code", "message"} if path == MAIL_SERVER else {"message"})
    assert (other.status_code, health.status_code) == (200, 200)
    assert answered == {200}
    assert again.status_code == 200


async def test_a_refused_or_broken_request_gives_its_place_back(api: Caller) -> None:
    for _ in range(MOST + 1):
        await api.send("PATCH", SMTP_SETTINGS)
        await api.send("PUT", MAIL_SERVER, content=b"{", headers={"Content-Type": "application/json"})

    assert (await api.send("GET", SMTP_SETTINGS)).status_code == 200
