"""Ports of the use cases that work, simplified: a store in memory, a prober that says what it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailsettings.domain.access import Account, Credentials, IssuedToken, Permission, TokenClaims
from mailsettings.domain.audit_log import KEY_BYTES, AuditChain, AuditEntry, AuditHead, AuditRecord, timestamp
from mailsettings.domain.connection_test import (
    USAGE_WINDOW_SECONDS,
    Outcome,
    ProbeReport,
    ProbeStage,
    StageReport,
    Usage,
)
from mailsettings.domain.errors import (
    AccountExists,
    AccountNotFound,
    IdempotencyKeyReused,
    IdentityUnavailable,
    NotAuthenticated,
    StoreUnavailable,
)
from mailsettings.domain.history import MailServerVersion
from mailsettings.domain.idempotency import IdempotencyKey, IdempotentResult, PreviousRequest
from mailsettings.domain.login_throttling import KNOWN_NETWORK_SECONDS, Failures, LoginAttempt, ThrottleKey
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Creation,
    ListedMailServer,
    MailServer,
    Revision,
    StoredMailServer,
)

WORKS = ProbeReport((StageReport(ProbeStage.CONNECT, Outcome.PASSED),))


def as_listed(stored: StoredMailServer) -> ListedMailServer:
    server, login = stored.server, stored.server.authentication
    return (
        *(stored.id, server.host, server.port, server.security.value),
        *(server.sender.address, server.sender.display_name),
        *(getattr(login, "username", None), isinstance(login, AmbientCredentials)),
    )


class InMemoryMailServers:
    def __init__(self) -> None:
        self.rows: dict[int, StoredMailServer] = {}
        self.default: int | None = None
        self.past: list[MailServerVersion] = []
        """Newest first."""
        self._next = 1

    async def listed(self, after: int, limit: int) -> Sequence[ListedMailServer]:
        return [as_listed(self.rows[key]) for key in sorted(self.rows) if key > after][:limit]

    async def find(self, server_id: int) -> StoredMailServer | None:
        return self.rows.get(server_id)

    async def find_default(self) -> StoredMailServer | None:
        return self.rows.get(self.default or 0)

    async def add(self, server: MailServer, by: str | None = None, through: str | None = None) -> int:
        server_id, self._next = self._next, self._next + 1
        change = Revision(datetime.now(UTC), by)
        self.rows[server_id] = StoredMailServer(server_id, 1, server, change, Creation(by, through))
        if self.default is None:
            self.default = server_id
        return server_id

    async def replace(self, server_id: int, server: MailServer, by: str | None = None) -> None:
        self._keep(server_id)
        stored = self.rows[server_id]
        revision = Revision(datetime.now(UTC), by)
        self.rows[server_id] = replace(stored, version=stored.version + 1, server=server, revision=revision)

    async def delete(self, server_id: int, by: str | None = None) -> None:
        self._keep(server_id)
        was_default = self.default == server_id
        version = self.rows.pop(server_id).version + 1
        change = Revision(datetime.now(UTC), by)
        self.past.insert(0, MailServerVersion(server_id, version, None, change, was_default))
        if was_default:
            self.default = None

    async def put_back(
        self, removal: MailServerVersion, server: MailServer, by: str | None = None, through: str | None = None
    ) -> None:
        change, creation = Revision(datetime.now(UTC), by), Creation(by, through)
        version = removal.version + 1
        self.rows[removal.server_id] = StoredMailServer(removal.server_id, version, server, change, creation)
        if removal.was_default and self.default is None:
            self.default = removal.server_id

    async def versions(self, server_id: int) -> Sequence[MailServerVersion]:
        return [past for past in self.past if past.server_id == server_id]

    async def removed_default(self) -> MailServerVersion | None:
        ends = (past for past in self.past if past.server is None and past.was_default)
        return next((past for past in ends if past.server_id not in self.rows), None)

    async def forget_versions(self, server_id: int, keep_count: int) -> None:
        kept = (await self.versions(server_id))[:keep_count]
        self.past = [past for past in self.past if past.server_id != server_id or past in kept]

    async def forget_removed(self, keep_count: int) -> None:
        kept = [past for past in self.past if past.server_id not in self.rows][:keep_count]
        self.past = [past for past in self.past if past.server_id in self.rows or past in kept]

    def _keep(self, server_id: int) -> None:
        stored = self.rows[server_id]
        was_default = self.default == server_id
        self.past.insert(
            0, MailServerVersion(server_id, stored.version, stored.server, stored.revision, was_default)
        )


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

    async def set_password(self, credentials: Credentials) -> None:
        name = credentials.account.name
        if name not in self.rows:
            raise AccountNotFound(name)
        self.rows[name] = credentials

    async def set_grants(self, name: str, grants: Iterable[str]) -> None:
        if name not in self.rows:
            raise AccountNotFound(name)
        account = replace(self.rows[name].account, grants=frozenset(grants))
        self.rows[name] = replace(self.rows[name], account=account)

    async def remove(self, name: str) -> None:
        if name not in self.rows:
            raise AccountNotFound(name)
        del self.rows[name]


class InMemoryLoginFailures:
    def __init__(self) -> None:
        self.rows: dict[ThrottleKey, Failures] = {}

    async def of(self, subjects: Collection[ThrottleKey]) -> Mapping[ThrottleKey, Failures]:
        return {subject: self.rows.get(subject, Failures()) for subject in subjects}

    async def remember(self, subject: ThrottleKey, failures: Failures) -> None:
        self.rows[subject] = failures

    async def forget(self, subject: ThrottleKey) -> None:
        self.rows.pop(subject, None)

    async def forget_account(self, name: str) -> None:
        self.rows = {subject: found for subject, found in self.rows.items() if subject.account != name}

    async def forget_before(self, moment: float) -> None:
        self.rows = {subject: found for subject, found in self.rows.items() if found.last_at >= moment}


class InMemoryKnownNeighbourhoods:
    """Rows are names and neighbourhoods, with the last login."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str | None, str], float] = {}

    async def knows(self, attempt: LoginAttempt, now: float) -> bool:
        last = self.rows.get((attempt.name, attempt.client_network))
        return last is not None and last > now - KNOWN_NETWORK_SECONDS

    async def remember(self, attempt: LoginAttempt, now: float) -> None:
        self.rows[attempt.name, attempt.client_network] = now

    async def forget_account(self, name: str) -> None:
        self.rows = {key: last for key, last in self.rows.items() if key[0] != name}


class InMemorySealedKeys:
    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    async def named(self, prefix: str) -> Sequence[tuple[str, str]]:
        return [(name, text) for name, text in self.rows.items() if name.startswith(prefix)]

    async def add(self, name: str, text: str) -> None:
        self.rows[name] = text

    async def remove(self, name: str) -> bool:
        return self.rows.pop(name, None) is not None


class InMemoryAuditLog:
    def __init__(self) -> None:
        self.rows: list[AuditEntry] = []
        self._chain = AuditChain(bytes(KEY_BYTES))

    @property
    def records(self) -> list[AuditRecord]:
        return [entry.record for entry in self.rows]

    async def append(self, record: AuditRecord) -> AuditEntry:
        last = await self.head()
        self.rows.append(self._chain.entry(last, timestamp(datetime.now(UTC)), record))
        return self.rows[-1]

    async def has(self, action: str) -> bool:
        return any(entry.record.action == action for entry in self.rows)

    async def chain(self) -> AuditChain:
        return self._chain

    async def head(self) -> AuditHead:
        return self._chain.head(self.rows[-1].sequence, self.rows[-1].mac) if self.rows else self._chain.head()

    async def entries(self, after: int, limit: int, since: str = "") -> Sequence[AuditEntry]:
        return [entry for entry in self.rows if entry.sequence > after and entry.at >= since][:limit]


class InMemoryRepeats:
    """Keys are forgotten by nobody; `age_seconds` is that of all of them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[bytes, IdempotentResult | None]] = {}
        self.age_seconds = 0.0

    async def previous(self, caller: str, idempotency_key: IdempotencyKey) -> PreviousRequest | None:
        request, result = self.rows.get((caller, idempotency_key.key), (None, None))
        if request is None:
            return None
        if request != idempotency_key.request:
            raise IdempotencyKeyReused
        return PreviousRequest(result, self.age_seconds)

    async def remember(
        self, caller: str, idempotency_key: IdempotencyKey, result: IdempotentResult | None = None
    ) -> None:
        self.rows[caller, idempotency_key.key] = idempotency_key.request, result


class InMemoryProbeAdmissions:
    """Rows are principal, beginning and whether it ended; `clock` may be another one."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, bool]] = []
        self.clock: Callable[[], float] = time.monotonic

    async def of(self, principal: str, max_seconds: float) -> Usage:
        rows = [(self.clock() - begun, ended) for name, begun, ended in self.rows if name == principal]
        recent = [age for age, _ in rows if age < USAGE_WINDOW_SECONDS]
        running = sum(not ended and age < max_seconds for age, ended in rows)
        return Usage(running, len(recent), max(recent, default=0))

    async def begin(self, principal: str) -> str:
        self.rows.append((principal, self.clock(), False))
        return str(len(self.rows) - 1)

    async def end(self, test_id: str) -> None:
        name, begun, _ = self.rows[int(test_id)]
        self.rows[int(test_id)] = name, begun, True


@dataclass
class InMemoryStore:
    """Everything is committed at once; `away` makes it a database that does not answer."""

    mail_servers: InMemoryMailServers = field(default_factory=InMemoryMailServers)
    accounts: InMemoryAccounts = field(default_factory=InMemoryAccounts)
    login_failures: InMemoryLoginFailures = field(default_factory=InMemoryLoginFailures)
    known_networks: InMemoryKnownNeighbourhoods = field(default_factory=InMemoryKnownNeighbourhoods)
    service_keys: InMemorySealedKeys = field(default_factory=InMemorySealedKeys)
    audit: InMemoryAuditLog = field(default_factory=InMemoryAuditLog)
    idempotency: InMemoryRepeats = field(default_factory=InMemoryRepeats)
    probe_admissions: InMemoryProbeAdmissions = field(default_factory=InMemoryProbeAdmissions)
    away: bool = False

    @property
    def cache(self) -> "InMemoryStore":
        return self

    async def default_mail_server(self) -> StoredMailServer | None:
        async with self.reading() as view:
            return await view.mail_servers.find_default()

    async def account(self, name: str) -> Credentials | None:
        async with self.reading() as view:
            return await view.accounts.find(name)

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

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        return password_hash == f"hash of {password}"


GRANTS = {
    "admin": frozenset(Permission),
    "auditor": frozenset({Permission.AUDIT_READ}),
    "monitoring": frozenset({Permission.METRICS_READ}),
    "tester": frozenset({Permission.MAIL_SERVERS_TEST}),
    "reader": frozenset({Permission.MAIL_SERVERS_READ}),
    "stranger": frozenset[Permission](),
}


class NamesAsTokens:
    """The token `admin` speaks for the admin, and so on; what is issued is the name of the account.

    The token `issuer-away` is of an issuer that does not answer.
    """

    async def read(self, token: str) -> TokenClaims:
        if token == "issuer-away":
            raise IdentityUnavailable
        if token not in GRANTS:
            raise NotAuthenticated("The access token is not valid.", presented=True)
        return TokenClaims(token, frozenset({token}), expires_at=2**40)

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        return IssuedToken(subject, lifetime_seconds)
