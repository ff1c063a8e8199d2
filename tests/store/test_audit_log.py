"""The audit log in the database: one entry for each change and none without, and a chain that shows tampering."""

import asyncio
import re

import pytest
from sqlalchemy import text

from mailsettings.domain.access import OPERATOR, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord, WitnessedEntry
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.use_cases.audit_log import AuditLogVerdict, ReadAuditLog

from support.databases import KEY

HERE = Origin("192.0.2.1", "request 1")


def record(number: int = 0) -> AuditRecord:
    details = {"host": {"before": None, "after": f"mäil{number}.example.org"}, "tags": ["a", "b"], "n": number}
    return AuditRecord(
        "alice", HERE, Action.MAIL_SERVER_CREATE, f"mail-server:{number}", AuditOutcome.DONE, details
    )


async def write(store: SQLStore, count: int) -> None:
    for number in range(count):
        async with store.writing() as work:
            await work.audit.append(record(number))


async def verify(store: SQLStore, seen: WitnessedEntry | None = None) -> AuditLogVerdict:
    return await ReadAuditLog(store).verify(OPERATOR, seen)


def tamper(url: str, *statements: str) -> None:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()


async def test_an_entry_is_read_as_it_was_written(store: SQLStore) -> None:
    nobody = AuditRecord(None, Origin(), Action.ACCESS, None, AuditOutcome.REFUSED)
    async with store.writing() as work:
        await work.audit.append(record(7))
        await work.audit.append(nobody)

    async with store.reading() as view:
        first, second = await view.audit.entries(0, 10)

    assert (first.sequence, first.record) == (1, record(7))
    assert (second.sequence, second.record) == (2, nobody)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first.at)


async def test_entries_are_read_in_pages_and_since_a_time(store: SQLStore) -> None:
    await write(store, 5)
    async with store.reading() as view:
        everything = await view.audit.entries(0, 10)
        page = await view.audit.entries(2, 2)
        late = await view.audit.entries(0, 10, everything[3].at)

    assert [entry.sequence for entry in page] == [3, 4]
    assert [entry.sequence for entry in late] == [4, 5]


async def test_a_rollback_leaves_no_entry(store: SQLStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mailsettings.audit")

    async def fail() -> None:
        async with store.writing() as work:
            await work.audit.append(record())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await write(store, 1)

    assert (await verify(store)).sequence == 1
    assert len(caplog.records) == 1


async def test_each_entry_is_logged_with_its_hash(store: SQLStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mailsettings.audit")
    await write(store, 1)

    [line] = [entry.getMessage() for entry in caplog.records]
    verdict = await verify(store)
    said = "audit 1 mail-server.create mail-server:0 done by alice from 192.0.2.1"
    assert line == f"{said}, hash {verdict.mac.hex()}"


async def test_concurrent_writers_make_one_chain(database_url: str) -> None:
    stores = [SQLStore(database_url, Sealer(KEY)) for _ in range(3)]
    await asyncio.gather(*(write(store, 10) for store in stores))
    verdict = await verify(stores[0])
    for store in stores:
        await store.close()

    assert (verdict.sequence, verdict.problem) == (30, None)


async def test_an_untouched_log_passes_the_check(store: SQLStore) -> None:
    assert await verify(store) == AuditLogVerdict(0, b"", None)
    await write(store, 5)
    before = await verify(store)
    await write(store, 2)
    after = await verify(store, WitnessedEntry(before.sequence, before.mac[:8]))

    assert (before.sequence, before.problem, after.sequence, after.problem) == (5, None, 7, None)


SWAP = (
    "UPDATE audit_entries SET sequence = 100 WHERE sequence = 2",
    "UPDATE audit_entries SET sequence = 2 WHERE sequence = 3",
    "UPDATE audit_entries SET sequence = 3 WHERE sequence = 100",
)
HEAD_BACK = (
    "DELETE FROM audit_entries WHERE sequence > 3",
    "UPDATE audit_head SET sequence = 3, mac = (SELECT mac FROM audit_entries WHERE sequence = 3)",
)
FORGED = (
    "INSERT INTO audit_entries SELECT 6, at, actor, address, request_id, action, target, outcome, details, mac "
    "FROM audit_entries WHERE sequence = 5"
)
TAMPERED = {
    "an altered actor": (["UPDATE audit_entries SET actor = 'bob' WHERE sequence = 2"], "Entry 2 was altered"),
    "an actor taken out": (["UPDATE audit_entries SET actor = NULL WHERE sequence = 2"], "Entry 2 was altered"),
    "an altered time": (["UPDATE audit_entries SET at = '2020' WHERE sequence = 2"], "Entry 2 was altered"),
    "an altered address": (["UPDATE audit_entries SET address = 'x' WHERE sequence = 1"], "Entry 1 was altered"),
    "an altered request": (["UPDATE audit_entries SET request_id = '' WHERE sequence = 1"], "Entry 1 was altered"),
    "an altered action": (["UPDATE audit_entries SET action = 'login' WHERE sequence = 5"], "Entry 5 was altered"),
    "an action there is not": (
        ["UPDATE audit_entries SET action = '?' WHERE sequence = 5"],
        "Entry 5 was altered",
    ),
    "an altered target": (["UPDATE audit_entries SET target = 'x' WHERE sequence = 5"], "Entry 5 was altered"),
    "an altered outcome": (["UPDATE audit_entries SET outcome = 'x' WHERE sequence = 5"], "Entry 5 was altered"),
    "altered details": (["UPDATE audit_entries SET details = '{}' WHERE sequence = 4"], "Entry 4 was altered"),
    "details that are none": (
        ["UPDATE audit_entries SET details = 'x' WHERE sequence = 4"],
        "Entry 4 was altered",
    ),
    "one removed": (["DELETE FROM audit_entries WHERE sequence = 3"], "Entry 3 is missing"),
    "the first removed": (["DELETE FROM audit_entries WHERE sequence = 1"], "Entry 1 is missing"),
    "two swapped": (SWAP, "Entry 2 was altered or moved"),
    "the last removed": (
        ["DELETE FROM audit_entries WHERE sequence = 5"],
        "ends at entry 4; 5 entries were written",
    ),
    "all removed": (["DELETE FROM audit_entries"], "ends at entry 0; 5 entries were written"),
    "the last removed, the note set back": (HEAD_BACK, "record of the last entry is missing or was altered"),
    "the note removed": (["DELETE FROM audit_head"], "record of the last entry is missing or was altered"),
    "all removed, the note too": (
        ["DELETE FROM audit_entries", "DELETE FROM audit_head"],
        "record of the last entry is missing or was altered",
    ),
    "the key removed": (["DELETE FROM sealed_keys"], "key of the log is missing"),
    "one forged at the end": ([FORGED], "Entry 6 was altered"),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_tampering_is_found_and_named(store: SQLStore, database_url: str, case: str) -> None:
    statements, problem = TAMPERED[case]
    await write(store, 5)

    tamper(database_url, *statements)

    assert problem in str((await verify(store)).problem)


@pytest.mark.parametrize("case", [case for case in TAMPERED if case != "the key removed"])
async def test_writing_continues_after_tampering_without_hiding_it(
    store: SQLStore, database_url: str, case: str
) -> None:
    statements, _ = TAMPERED[case]
    await write(store, 5)
    tamper(database_url, *statements)

    await write(store, 3)

    assert (await verify(store)).problem is not None


async def test_a_rewritten_log_is_found_by_a_known_entry(store: SQLStore, database_url: str) -> None:
    await write(store, 5)
    seen = await verify(store)
    tamper(database_url, *(f"DELETE FROM {table}" for table in ("audit_entries", "audit_head", "sealed_keys")))
    await write(store, 3)
    shorter = (await verify(store, WitnessedEntry(seen.sequence, seen.mac))).problem
    await write(store, 9)
    longer = (await verify(store, WitnessedEntry(seen.sequence, seen.mac))).problem

    assert (await verify(store)).problem is None
    assert shorter == "The log ends at entry 3; entry 5 was seen before."
    assert longer == "Entry 5 differs from the entry that was seen before."
