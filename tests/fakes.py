"""Ports of the use cases that work, simplified: a store in memory, a prober that says what it is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from mailsettings.domain.access import Account, Credentials, Permission, Principal
from mailsettings.domain.errors import AccountExists, AccountNotFound, NotAuthenticated, StoreUnavailable
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.domain.probe import Outcome, ProbeReport, ProbeStage, StageReport

WORKS = ProbeReport((StageReport(ProbeStage.CONNECT, Outcome.PASSED),))


class InMemoryMailServers:
    def __init__(self) -> None:
        self.rows: dict[int, StoredMailServer] = {}
        self.default: int | None = None
        self._next = 1

    async def list(self) -> Sequence[StoredMailServer]:
        return [self.rows[key] for key in sorted(self.rows)]

    async def find(self, server_id: int) -> StoredMailServer | None:
        return self.rows.get(server_id)

    async def find_default(self) -> StoredMailServer | None:
        return self.rows.get(self.default or 0)

    async def add(self, server: MailServer) -> int:
        server_id, self._next = self._next, self._next + 1
        self.rows[server_id] = StoredMailServer(server_id, 1, server)
        if self.default is None:
            self.default = server_id
        return server_id

    async def replace(self, server_id: int, server: MailServer) -> None:
        stored = self.rows[server_id]
        self.rows[server_id] = replace(stored, version=stored.version + 1, server=server)

    async def delete(self, server_id: int) -> None:
        del self.rows[server_id]
        if self.default == server_id:
            self.default = None


class InMemoryAccounts:
    def __init__(self) -> None:
        self.rows: dict[str, Credentials] = {}

    async def list(self) -> Sequence[Account]:
        return [self.rows[name].account for name in sorted(self.rows)]

    async def find(self, name: str) -> Credentials | None:
        return self.rows.get(name)

    async def add(self, credentials: Credentials) -> None:
        if credentials.account.name in self.rows:
            raise AccountExists(credentials.account.name)
        self.rows[credentials.account.name] = credentials

    async def set_password_hash(self, name: str, password_hash: str) -> None:
        if name not in self.rows:
            raise AccountNotFound(name)
        self.rows[name] = replace(self.rows[name], password_hash=password_hash)

    async def remove(self, name: str) -> None:
        if name not in self.rows:
            raise AccountNotFound(name)
        del self.rows[name]


@dataclass
class InMemoryStore:
    """Everything is committed at once; `away` makes it a database that does not answer."""

    mail_servers: InMemoryMailServers = field(default_factory=InMemoryMailServers)
    accounts: InMemoryAccounts = field(default_factory=InMemoryAccounts)
    away: bool = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["InMemoryStore"]:
        if self.away:
            raise StoreUnavailable
        yield self

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["InMemoryStore"]:
        if self.away:
            raise StoreUnavailable
        yield self


@dataclass
class ScriptedProber:
    """Answers every probe with `report`, once `hold` is set if there is one, and keeps what it was asked."""

    report: ProbeReport = WORKS
    hold: asyncio.Event | None = None
    asked: list[tuple[MailServer, str | None]] = field(default_factory=list)

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        self.asked.append((server, recipient))
        if self.hold is not None:
            await self.hold.wait()
        return self.report


class PlainPasswords:
    """Hashes that are quick to make, and no secret."""

    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def verify(self, password: str, password_hash: str | None) -> bool:
        return password_hash == f"hash of {password}"


PERMISSIONS = {
    "admin": frozenset(Permission),
    "tester": frozenset({Permission.MAIL_SERVERS_TEST}),
    "reader": frozenset({Permission.MAIL_SERVERS_READ}),
    "stranger": frozenset[Permission](),
}


class NamesAsTokens:
    """The token `admin` speaks for the admin, and so on."""

    async def verify(self, token: str) -> Principal:
        if token not in PERMISSIONS:
            raise NotAuthenticated("The access token is not valid.", presented=True)
        return Principal(token, PERMISSIONS[token])
