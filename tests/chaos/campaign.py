"""One run: clients write, things happen to servers and database, and in the end everything is counted."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from chaos.clients import PATIENCE_SECONDS, Client
from chaos.fleet import Fleet
from chaos.reckoning import reckon
from chaos.report import Report
from support.service import TOKEN
from support.timeouts import GUARD_SECONDS

CLIENTS = 6
CALM_SECONDS = 0.6
"""How long clients write undisturbed between two troubles, at most."""
GIVEN_UP_SECONDS = GUARD_SECONDS
"""When a run ends because some server does not write any more."""

Trouble = Callable[[random.Random], Awaitable[None]]
"""Something that happens, and is over when it returns."""


class Campaign:
    """A run against *fleet*; what happens, and in which order, comes from *seed*."""

    def __init__(self, title: str, fleet: Fleet, troubles: Mapping[str, Trouble], seed: int) -> None:
        self._fleet = fleet
        self._troubles = troubles
        self._seed = seed
        self.report = Report(f"{title}, seed {seed}")

    async def run(self, seconds: float) -> Report:
        """Each kind of trouble once, and more until the time is over."""
        begun = time.monotonic()
        async with self._http() as http:
            async with self._writing(http) as clients:
                for number, (name, dice) in enumerate(self._plan()):
                    if number >= len(self._troubles) and time.monotonic() - begun > seconds:
                        break
                    await self._meet(name, dice)
            self.report.seconds = time.monotonic() - begun
            ledgers = [client.ledger for client in clients]
            self.report.reckoning = await reckon(http, self._fleet.members[0].url, ledgers)
        return self.report

    def _plan(self) -> Iterator[tuple[str, random.Random]]:
        dice = random.Random(self._seed)
        while True:
            for name in dice.sample(sorted(self._troubles), len(self._troubles)):
                yield name, random.Random(dice.random())

    async def _meet(self, name: str, dice: random.Random) -> None:
        await asyncio.sleep(CALM_SECONDS * dice.random())
        await self._troubles[name](dice)
        over = time.monotonic()
        await self._all_wrote_since(over)
        self.report.troubles[name] += 1
        self.report.recoveries.append(time.monotonic() - over)

    async def _all_wrote_since(self, moment: float) -> None:
        heard = self.report.heard
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            while any(heard.last_success.get(member.port, 0) < moment for member in self._fleet.members):
                heard.success.clear()
                await heard.success.wait()

    @asynccontextmanager
    async def _writing(self, http: httpx.AsyncClient) -> AsyncIterator[Sequence[Client]]:
        end = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            heard = self.report.heard
            names = [f"c{number}" for number in range(CLIENTS)]
            clients = [Client(name, self._fleet, http, heard, f"{self._seed} {name}") for name in names]
            for client in clients:
                group.create_task(client.run(end))
            await self._all_wrote_since(time.monotonic())
            yield clients
            end.set()

    @asynccontextmanager
    async def _http(self) -> AsyncIterator[httpx.AsyncClient]:
        # No connection is kept: the end of one that is kept would say nothing about the server that is there now.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=limits) as http:
            form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
            answer = await http.post(self._fleet.members[0].url + TOKEN, data=form)
            http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            yield http
