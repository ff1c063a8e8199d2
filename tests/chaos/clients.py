"""Clients that write what nobody else writes, and read back through another server what was acknowledged."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from chaos.fleet import Fleet, Member
from chaos.ledger import Content, Ledger, Written
from support.request_bodies import checkmarx
from support.service import SMTP_SETTINGS
from support.timeouts import GUARD_SECONDS

DONE = frozenset({200, 201, 204})
PATIENCE_SECONDS = GUARD_SECONDS
PAUSE_SECONDS = 0.05


@dataclass
class Heard:
    """What all clients were answered."""

    statuses: Counter[str] = field(default_factory=Counter)
    slowest_503: float = 0.0
    wrong: list[str] = field(default_factory=list)
    last_success: dict[int, float] = field(default_factory=dict)
    """When a write was last begun that succeeded, by the port of the server."""
    success: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, member: Member, answer: httpx.Response, begun: float) -> None:
        """An answer. Besides success and 404 only a 503 that says when to come back is right."""
        self.statuses[str(answer.status_code)] += 1
        if answer.status_code == 503 and answer.headers.get("Retry-After"):
            self.slowest_503 = max(self.slowest_503, time.monotonic() - begun)
        elif answer.status_code not in {*DONE, 404}:
            self.wrong.append(f"{answer.request.method} {answer.status_code} {answer.text[:200]}")
        elif answer.request.method != "GET":
            self.last_success[member.port] = max(begun, self.last_success.get(member.port, 0))
            self.success.set()

    def note_silence(self, member: Member, error: httpx.TransportError, begun: float) -> None:
        """No answer, which is right only from a server that was killed."""
        self.statuses["none, killed"] += 1
        if not member.was_down(begun, time.monotonic()):
            self.wrong.append(f"{error!r} from a server that was there")


class Client:
    """Writes until it is told to end; what it does depends on *seed* and on what it is answered."""

    def __init__(self, name: str, fleet: Fleet, http: httpx.AsyncClient, heard: Heard, seed: str) -> None:
        self._name = name
        self._fleet = fleet
        self._http = http
        self._heard = heard
        self._random = random.Random(seed)
        self._count = 0
        self.ledger = Ledger()

    async def run(self, end: asyncio.Event) -> None:
        while not end.is_set():
            server_id = self._one_of_mine()
            match self._random.choices(["create", "replace", "delete"], [5, 3, 1])[0]:
                case "replace" if server_id is not None:
                    await self._replace(server_id)
                case "delete" if server_id is not None:
                    await self._delete(server_id)
                case _:
                    await self._create()
            await asyncio.sleep(PAUSE_SECONDS * self._random.random())

    async def _create(self) -> None:
        content = self._new_content()
        answer = await self._ask("POST", SMTP_SETTINGS, content)
        if answer is None or answer.status_code not in DONE:
            self.ledger.unheard.add(content)
            return
        server_id = int(answer.headers["Location"].rpartition("/")[2])
        self.ledger.written[server_id] = Written(content)
        await self._acknowledged(server_id)

    async def _replace(self, server_id: int) -> None:
        content = self._new_content()
        await self._change(server_id, content, await self._ask("PUT", f"{SMTP_SETTINGS}/{server_id}", content))

    async def _delete(self, server_id: int) -> None:
        await self._change(server_id, None, await self._ask("DELETE", f"{SMTP_SETTINGS}/{server_id}"))

    async def _change(self, server_id: int, content: Content, answer: httpx.Response | None) -> None:
        known = self.ledger.written[server_id]
        if answer is not None and answer.status_code in DONE:
            known.settle(content)
            await self._acknowledged(server_id)
        elif answer is not None and answer.status_code == 404:
            self.ledger.read(server_id, None)
        else:
            known.possible.add(content)

    async def _acknowledged(self, server_id: int) -> None:
        self.ledger.acknowledged += 1
        answer = await self._ask("GET", f"{SMTP_SETTINGS}/{server_id}")
        if answer is not None and answer.status_code in {200, 404}:
            self.ledger.read(server_id, answer.json()["host"] if answer.status_code == 200 else None)

    async def _ask(self, method: str, path: str, content: str | None = None) -> httpx.Response | None:
        """None without an answer. Each question goes to any server, with a connection of its own."""
        member = self._random.choice(self._fleet.members)
        body: dict[str, Any] | None = checkmarx("a password") | {"host": content} if content else None
        begun = time.monotonic()
        try:
            answer = await self._http.request(method, member.url + path, json=body)
        except httpx.TransportError as error:
            self._heard.note_silence(member, error, begun)
            return None
        self._heard.note(member, answer, begun)
        return answer

    def _one_of_mine(self) -> int | None:
        there = [server_id for server_id, known in self.ledger.written.items() if known.acknowledged]
        return self._random.choice(there) if there else None

    def _new_content(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}.example"
