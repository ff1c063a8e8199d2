"""The store: transactions over an engine, and reads that are served from memory while they are fresh."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.store import engine
from mailsettings.store.accounts import SQLAccounts
from mailsettings.store.failures import away_as_unavailable
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.read_cache import DataVersion, FreshValue
from mailsettings.store.sealing import Sealer
from mailsettings.store.tables import sealing_keys

Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

_KEY_CHECK = "this key is the right one"


class WrongKey(Exception):
    """The database was written with another sealing key than ours; `str()` is one sentence."""

    def __init__(self) -> None:
        super().__init__(
            "The secrets in this database were sealed with another key; put back the key file that it was "
            "written with."
        )


class SQLUnitOfWork:
    """One transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self.mail_servers = SQLMailServers(connection, sealer)
        self.accounts = SQLAccounts(connection)


class SQLStore:
    """Mail servers and accounts in SQLite or PostgreSQL."""

    def __init__(self, url: str, sealer: Sealer) -> None:
        self._engine = engine.async_engine(url)
        self._sealer = sealer
        self._guard = DataVersion(engine.sqlite_file(url)) if engine.is_sqlite(url) else None
        default: FreshValue[StoredMailServer | None] = FreshValue(self._guard)
        self._view = SQLView(lambda: self._transaction(writes=False), sealer, default)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[SQLUnitOfWork]:
        """A transaction that is committed, durably, when the block ends without an error; one at a time."""
        async with self._transaction(writes=True) as connection:
            yield SQLUnitOfWork(connection, self._sealer)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["SQLView"]:
        """The last committed state. Nothing is opened before something has to be read from the database."""
        yield self._view

    async def admit_key(self) -> None:
        """Make sure that our key is the one the database was written with. Raises `WrongKey`."""
        key_id = self._sealer.key_id.hex()
        async with self._transaction(writes=True) as connection:
            known = (await connection.execute(select(sealing_keys))).all()
            if not known:
                sealed = self._sealer.seal(_KEY_CHECK, f"sealing_keys|{key_id}|sealed_check")
                await connection.execute(insert(sealing_keys).values(key_id=key_id, sealed_check=sealed))
                return
        checks = {row.key_id: row.sealed_check for row in known}
        try:
            self._sealer.open(checks.get(key_id, b""), f"sealing_keys|{key_id}|sealed_check")
        except SecretUnreadable:
            raise WrongKey from None

    async def ping(self) -> None:
        """Raises `StoreUnavailable` when the database does not answer."""
        async with self._transaction(writes=False) as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        if self._guard:
            self._guard.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, *, writes: bool) -> AsyncIterator[AsyncConnection]:
        options = engine.WRITES if writes else {}
        with away_as_unavailable():
            async with self._engine.connect() as connection:
                await connection.execution_options(**options)
                async with connection.begin():
                    yield connection


class SQLView:
    """The last committed state. Each question is a transaction of its own, or a look into memory."""

    def __init__(self, begin: Begin, sealer: Sealer, default: FreshValue[StoredMailServer | None]) -> None:
        self.mail_servers = _MailServersView(begin, sealer, default)
        self.accounts = _AccountsView(begin)


class _MailServersView:
    """Only the default server is kept in memory: it is what clients ask for, and there is just one."""

    def __init__(self, begin: Begin, sealer: Sealer, default: FreshValue[StoredMailServer | None]) -> None:
        self._begin = begin
        self._sealer = sealer
        self._default = default

    async def list(self) -> Sequence[StoredMailServer]:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._sealer).list()

    async def find(self, server_id: int) -> StoredMailServer | None:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._sealer).find(server_id)

    async def find_default(self) -> StoredMailServer | None:
        return await self._default.get(self._read_default)

    async def _read_default(self) -> StoredMailServer | None:
        async with self._begin() as connection:
            return await SQLMailServers(connection, self._sealer).find_default()


class _AccountsView:
    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def list(self) -> Sequence[Account]:
        async with self._begin() as connection:
            return await SQLAccounts(connection).list()

    async def find(self, name: str) -> Credentials | None:
        async with self._begin() as connection:
            return await SQLAccounts(connection).find(name)
