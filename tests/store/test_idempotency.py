"""Idempotent requests in real databases: every replica sees them, and nothing is stored in clear."""

import asyncio
import signal
import subprocess
import sys

import pytest
from sqlalchemy import insert, select, text, update

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import IdempotencyKeyReused
from mailsettings.domain.idempotency import REMEMBERED_SECONDS, IdempotencyKey, PreviousRequest
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.database_url import is_sqlite, sqlite_file
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.idempotency import MAX_DELETED_PER_INSERT
from mailsettings.store.tables import idempotency_keys as table
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.canary import Canary
from support.databases import KEY, all_of

WANTED = Replacement(MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org")))
REPORT = ProbeReport((), milliseconds=7)


async def remember(
    store: SQLStore, who: str, idempotency_key: IdempotencyKey, result: int | ProbeReport | None = None
) -> None:
    async with store.writing() as work:
        await work.idempotency.remember(who, idempotency_key, result)


async def previous(store: SQLStore, who: str, idempotency_key: IdempotencyKey) -> PreviousRequest | None:
    async with store.reading() as view:
        return await view.idempotency.previous(who, idempotency_key)


async def test_result_is_known_to_all_replicas_for_one_caller(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    await remember(store, "alice", IdempotencyKey("key", b"request"))
    begun = await previous(other, "alice", IdempotencyKey("key", b"request"))
    await remember(store, "alice", IdempotencyKey("key", b"request"), REPORT)
    done = await previous(other, "alice", IdempotencyKey("key", b"request"))
    nothing = [
        await previous(other, *asked)
        for asked in (("bob", IdempotencyKey("key", b"request")), ("alice", IdempotencyKey("k", b"")))
    ]
    await other.close()

    assert begun is not None
    assert done is not None
    assert (begun.result, done.result, nothing) == (None, REPORT, [None, None])
    assert 0 <= begun.age_seconds < 60


async def test_a_key_is_valid_for_one_request(store: SQLStore) -> None:
    await remember(store, "alice", IdempotencyKey("key", b"request"), 1)

    with pytest.raises(IdempotencyKeyReused):
        await previous(store, "alice", IdempotencyKey("key", b"another"))
    async with store.writing() as work:
        with pytest.raises(IdempotencyKeyReused):
            await work.idempotency.previous("alice", IdempotencyKey("key", b"another"))


def age_all_by(url: str, seconds: float) -> None:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        connection.execute(update(table).values(created_at=table.c.created_at - seconds))
    database.dispose()


def hashes_in(url: str) -> list[str]:
    database = engine.sync_engine(url)
    with database.connect() as connection:
        found = list(connection.execute(select(table.c.key_hash)).scalars())
    database.dispose()
    return found


async def test_a_result_is_forgotten_after_a_day(store: SQLStore, database_url: str) -> None:
    idempotency_key = IdempotencyKey("key", b"request")
    await remember(store, "alice", idempotency_key, 1)
    age_all_by(database_url, REMEMBERED_SECONDS - 60)
    almost = await previous(store, "alice", idempotency_key)
    age_all_by(database_url, 61)
    gone = await previous(store, "alice", IdempotencyKey("key", b"another"))
    await remember(store, "alice", IdempotencyKey("key", b"another"), 2)
    again = await previous(store, "alice", IdempotencyKey("key", b"another"))

    assert almost is not None
    assert again is not None
    assert (almost.result, gone, again.result) == (1, None, 2)


async def test_each_write_removes_a_bounded_number_of_old_rows(store: SQLStore, database_url: str) -> None:
    database = engine.sync_engine(database_url)
    rows = [
        {"key_hash": f"{number}", "request_mac": b"", "created_at": float(number)}
        for number in range(MAX_DELETED_PER_INSERT + 2)
    ]
    with database.begin() as connection:
        connection.execute(insert(table), rows)
    database.dispose()
    left = []
    for key in ("a", "b"):
        await remember(store, "alice", IdempotencyKey(key, b""))
        left.append(sorted(each for each in hashes_in(database_url) if each.isdigit() and len(each) < 9))

    assert left == [[str(MAX_DELETED_PER_INSERT), str(MAX_DELETED_PER_INSERT + 1)], []]


async def test_no_key_request_or_caller_is_stored_in_clear(
    store: SQLStore, database_url: str, canary: Canary
) -> None:
    idempotency_key = IdempotencyKey(canary.secret, canary.secret.encode())
    await remember(store, canary.secret, idempotency_key, 1)
    await previous(store, canary.secret, idempotency_key)
    database = engine.sync_engine(database_url)
    with database.connect() as connection:
        rows = repr(connection.execute(text("SELECT * FROM idempotency_keys")).all())
    database.dispose()

    canary.assert_nowhere(rows, repr(idempotency_key))
    if is_sqlite(database_url):
        canary.assert_nowhere(sqlite_file(database_url).parent)


async def test_the_same_request_has_another_hash_under_each_key(store: SQLStore, database_url: str) -> None:
    for key in ("a", "b"):
        await remember(store, "alice", IdempotencyKey(key, b"request"))
    database = engine.sync_engine(database_url)
    with database.connect() as connection:
        macs = set(connection.execute(select(table.c.request_mac)).scalars())
    database.dispose()

    assert len(macs) == 2


async def test_two_concurrent_creates_are_done_once_and_answered_alike(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    marks = [IdempotencyKey("key", b"request") for _ in range(6)]
    keeps = [ManageMailServers(each) for each in (store, other) * 3]
    ids = await asyncio.gather(
        *(
            keep.create(OPERATOR, WANTED, idempotency_key)
            for keep, idempotency_key in zip(keeps, marks, strict=True)
        )
    )
    async with store.reading() as view:
        stored = await all_of(view.mail_servers)
        entries = await view.audit.entries(0, 9)
    await other.close()

    assert set(ids) == {stored[0].id}
    assert len(stored) == len(entries) == 1
    assert [idempotency_key.replayed for idempotency_key in marks].count(False) == 1


DIES = """
import asyncio, os, signal
from contextlib import asynccontextmanager
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.change import Replacement
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.mail_servers import ManageMailServers

class Dying(SQLStore):
    @asynccontextmanager
    async def writing(self):
        async with super().writing() as work:
            yield work
            if {before_commit}:
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

wanted = Replacement(MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org")))
keep = ManageMailServers(Dying({url!r}, Sealer(bytes(range(32)))))
asyncio.run(keep.create(OPERATOR, wanted, IdempotencyKey("key", b"request")))
"""


@pytest.mark.parametrize("before_commit", [True, False], ids=["before the commit", "before the answer"])
async def test_a_create_repeated_after_a_kill_is_done_once(
    store: SQLStore, database_url: str, before_commit: bool
) -> None:
    program = DIES.format(url=database_url, before_commit=before_commit)
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=subprocess.PIPE)
    _, said = await killed.communicate()
    keep, idempotency_key = ManageMailServers(store), IdempotencyKey("key", b"request")
    found = await keep.create(OPERATOR, WANTED, idempotency_key)
    async with store.reading() as view:
        stored = await all_of(view.mail_servers)

    assert (killed.returncode, said) == (-signal.SIGKILL, b"")
    assert [each.id for each in stored] == [found]
    assert idempotency_key.replayed is not before_commit
