"""Reading the last committed state. Each question is a transaction of its own, or a look into memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.audit import AuditChain, AuditEntry, AuditHead
from mailsettings.domain.guessing import Attempt, Failures, Subject
from mailsettings.domain.history import MailServerVersion
from mailsettings.domain.listed_mail_server import ListedMailServer
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.once import Earlier, Once
from mailsettings.domain.outbox import WaitingEvent
from mailsettings.domain.sealing_key import SealingReport
from mailsettings.domain.share import Share
from mailsettings.domain.watch import WatchedServer, WatchSummary
from mailsettings.store.accounts import SQLAccounts
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.known_neighbourhoods import SQLKnownNeighbourhoods
from mailsettings.store.login_failures import SQLLoginFailures
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.outbox import SQLOutbox
from mailsettings.store.probe_admissions import SQLProbeAdmissions
from mailsettings.store.read_cache import DataVersion, FreshValues
from mailsettings.store.repeats import SQLRepeats
from mailsettings.store.sealed_keys import SQLSealedKeys
from mailsettings.store.sealing import KeySource
from mailsettings.store.sealing_keys import SQLSealingKeys
from mailsettings.store.watch import SQLWatch

Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SQLView:
    """The last committed state; *version* tells when what is kept in memory is as good as read again."""

    def __init__(self, begin: Begin, keys: KeySource, version: DataVersion | None) -> None:
        self.mail_servers = _MailServersView(begin, keys, version)
        self.accounts = _AccountsView(begin, version)
        self.login_failures = _LoginFailuresView(begin, keys)
        self.known_neighbourhoods = _KnownNeighbourhoodsView(begin, keys)
        self.sealed_keys = _SealedKeysView(begin, keys)
        self.sealing_keys = _SealingKeysView(begin, keys)
        self.audit = _AuditView(begin, keys)
        self.repeats = _RepeatsView(begin, keys)
        self.probe_admissions = _ProbeAdmissionsView(begin)
        self.watch = _WatchView(begin)
        self.outbox = _OutboxView(begin)


class _MailServersView:
    """Only the default server is kept in memory: it is what clients ask for, and there is just one."""

    def __init__(self, begin: Begin, keys: KeySource, version: DataVersion | None) -> None:
        self._begin = begin
        self._keys = keys
        self._default: FreshValues[None, StoredMailServer | None] = FreshValues(version, self._read_default)

    async def listed(self, after: int, limit: int) -> Sequence[ListedMailServer]:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._keys.known()).listed(after, limit)

    async def find(self, server_id: int) -> StoredMailServer | None:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._keys.known()).find(server_id)

    async def find_default(self) -> StoredMailServer | None:
        return await self._default.get(None)

    async def versions(self, server_id: int) -> Sequence[MailServerVersion]:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._keys.known()).versions(server_id)

    async def removed_default(self) -> MailServerVersion | None:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._keys.known()).removed_default()

    async def _read_default(self, _key: None) -> StoredMailServer | None:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._keys.known()).find_default()


class _AccountsView:
    """Each request asks what its account may do, so those that were asked for are kept in memory."""

    def __init__(self, begin: Begin, version: DataVersion | None) -> None:
        self._begin = begin
        self._known: FreshValues[str, Credentials | None] = FreshValues(version, self._read)

    async def list(self) -> Sequence[Account]:
        async with self._begin() as connection:
            return await SQLAccounts(connection).list()

    async def find(self, name: str) -> Credentials | None:
        return await self._known.get(name)

    async def _read(self, name: str) -> Credentials | None:
        async with self._begin() as connection:
            return await SQLAccounts(connection).find(name)


class _LoginFailuresView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def of(self, subjects: Collection[Subject]) -> Mapping[Subject, Failures]:
        async with self._begin() as connection:
            audit = SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known()))
            return await SQLLoginFailures(connection, audit).of(subjects)


class _KnownNeighbourhoodsView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def knows(self, attempt: Attempt, now: float) -> bool:
        async with self._begin() as connection:
            audit = SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known()))
            return await SQLKnownNeighbourhoods(connection, audit).knows(attempt, now)


class _SealedKeysView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def named(self, prefix: str) -> Sequence[tuple[str, str]]:
        async with self._begin() as connection:
            return await SQLSealedKeys(connection, self._keys.known()).named(prefix)


class _SealingKeysView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def report(self) -> SealingReport:
        async with self._begin() as connection:
            return await SQLSealingKeys(connection, self._keys).report()


class _AuditView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def chain(self) -> AuditChain | None:
        async with self._begin() as connection:
            return await SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known())).chain()

    async def head(self) -> AuditHead | None:
        async with self._begin() as connection:
            return await SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known())).head()

    async def entries(self, after: int, limit: int, since: str = "") -> Sequence[AuditEntry]:
        async with self._begin() as connection:
            log = SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known()))
            return await log.entries(after, limit, since)


class _RepeatsView:
    def __init__(self, begin: Begin, keys: KeySource) -> None:
        self._begin = begin
        self._keys = keys

    async def earlier(self, caller: str, once: Once) -> Earlier | None:
        async with self._begin() as connection:
            audit = SQLAuditLog(connection, SQLSealedKeys(connection, self._keys.known()))
            return await SQLRepeats(connection, audit).earlier(caller, once)


class _ProbeAdmissionsView:
    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def of(self, principal: str, longest_seconds: float) -> Share:
        async with self._begin() as connection:
            return await SQLProbeAdmissions(connection).of(principal, longest_seconds)


class _WatchView:
    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def due(self, interval: int, again_after: int, limit: int) -> Sequence[int]:
        async with self._begin() as connection:
            return await SQLWatch(connection).due(interval, again_after, limit)

    async def list(self) -> Sequence[WatchedServer]:
        async with self._begin() as connection:
            return await SQLWatch(connection).list()

    async def summary(self) -> WatchSummary:
        async with self._begin() as connection:
            return await SQLWatch(connection).summary()


class _OutboxView:
    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def due(self, limit: int) -> Sequence[WaitingEvent]:
        async with self._begin() as connection:
            return await SQLOutbox(connection).due(limit)
