"""A session has what the service needs, whatever the role and the database have set."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.databases import KEY
from support.postgres import Postgres

UNLIKE = {
    "client_encoding": "LATIN1",
    "datestyle": "SQL, DMY",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "synchronous_commit": "off",
    "search_path": "mail, public",
    "statement_timeout": "1h",
}
SETTINGS = (
    *("client_encoding", "datestyle", "transaction_isolation", "transaction_read_only", "synchronous_commit"),
    *("search_path", "statement_timeout"),
)
POOLED = pytest.mark.parametrize("query", ["", "?mailsettings_pooler=transaction&mailsettings_pool_size=2"])


@pytest.fixture
def other_defaults(postgres: Postgres, postgres_url: str) -> Iterator[str]:
    """A database that has other defaults."""
    name = postgres_url.rpartition("/")[2]
    for setting, value in UNLIKE.items():
        quoted = value if setting == "search_path" else f"'{value}'"
        postgres.execute(f"ALTER DATABASE {name} SET {setting} = {quoted}")
    yield postgres_url
    postgres.execute(f"ALTER DATABASE {name} RESET ALL")


@POOLED
async def test_a_transaction_has_what_the_service_needs(other_defaults: str, query: str) -> None:
    found = {}
    service = engine.async_engine(other_defaults + query)
    async with service.connect() as connection:
        await connection.execution_options(**engine.WRITE_OPTIONS)
        async with connection.begin():
            for setting in SETTINGS:
                found[setting] = await connection.scalar(text(f"SHOW {setting}"))
    await service.dispose()

    assert found.pop("datestyle").startswith("ISO")
    assert found.pop("statement_timeout") not in {"0", "1h"}
    assert found == {
        "client_encoding": "UTF8",
        "transaction_isolation": "read committed",
        "transaction_read_only": "off",
        "synchronous_commit": "on",
        "search_path": "mail, public",
    }


@POOLED
async def test_a_store_reads_and_writes_under_other_defaults(other_defaults: str, query: str) -> None:
    store = SQLStore(other_defaults + query, Sealer(KEY))
    async with store.writing() as work:
        await work.monitoring.now()
    async with store.reading() as view:
        assert await view.accounts.list() == []
    await store.ping()
    assert await store.cache.account("somebody") is None
    await store.close()


async def test_the_pool_has_the_chosen_size(postgres_url: str) -> None:
    pools = [
        engine.async_engine(f"{postgres_url}?mailsettings_pooler=none&mailsettings_pool_size={size}").pool
        for size in (2, 40)
    ]

    assert [vars(pool)["_max_overflow"] for pool in pools] == [0, 35]
