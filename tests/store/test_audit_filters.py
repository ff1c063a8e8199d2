"""The audit log, newest first: each filter, pages, and the index that serves it."""

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import Action, AuditFilter, AuditOutcome, AuditRecord
from mailsettings.store.audit_log import newest_first
from mailsettings.store.database import SQLStore

from support.databases import LocalStore

LOGIN, TEST, ADD = Action.LOGIN, Action.MAIL_SERVER_TEST, Action.ACCOUNT_ADD
DONE, REFUSED = AuditOutcome.DONE, AuditOutcome.REFUSED
WRITTEN = [
    ("alice", LOGIN, None, DONE),
    ("bob", LOGIN, None, REFUSED),
    ("alice", TEST, "mail-server:1", DONE),
    (None, Action.ACCESS, None, REFUSED),
    ("bob", TEST, "mail-server:1", REFUSED),
    ("alice", ADD, "carol", DONE),
]


async def write(store: SQLStore) -> list[str]:
    """Write an entry for each of WRITTEN; return their times."""
    for actor, action, target, outcome in WRITTEN:
        async with store.writing() as work:
            await work.audit.append(AuditRecord(actor, Origin(), action, target, outcome))
    async with store.reading() as view:
        return [entry.at for entry in await view.audit.entries(0, 10)]


async def numbers(store: SQLStore, wanted: AuditFilter, before: int | None = None, limit: int = 10) -> list[int]:
    async with store.reading() as view:
        return [entry.sequence for entry in await view.audit.newest(wanted, before, limit)]


async def test_every_filter_narrows_the_log_alone_and_together(store: SQLStore) -> None:
    at = await write(store)

    assert await numbers(store, AuditFilter()) == [6, 5, 4, 3, 2, 1]
    assert await numbers(store, AuditFilter(actor="alice")) == [6, 3, 1]
    assert await numbers(store, AuditFilter(action=LOGIN)) == [2, 1]
    assert await numbers(store, AuditFilter(target="mail-server:1")) == [5, 3]
    assert await numbers(store, AuditFilter(outcome=REFUSED)) == [5, 4, 2]
    assert await numbers(store, AuditFilter(since=at[3])) == [6, 5, 4]
    assert await numbers(store, AuditFilter(until=at[3])) == [3, 2, 1]
    assert await numbers(store, AuditFilter("bob", TEST, "mail-server:1", REFUSED, at[3], at[5])) == [5]
    assert await numbers(store, AuditFilter("alice", TEST, "mail-server:1", REFUSED)) == []
    assert await numbers(store, AuditFilter(actor="ali")) == []


async def test_pages_continue_after_the_last_entry(store: SQLStore) -> None:
    await write(store)
    first = await numbers(store, AuditFilter(actor="alice"), limit=2)
    second = await numbers(store, AuditFilter(actor="alice"), first[-1], 2)

    assert (first, second) == ([6, 3], [1])
    assert await numbers(store, AuditFilter(), before=7) == []


async def test_entries_of_one_moment_are_all_shown(local_store: LocalStore) -> None:
    store = local_store
    await write(store)
    store.sql(text("UPDATE audit_entries SET at = '2026-01-01T00:00:00.000000Z'"))
    found: list[int] = []
    while page := await numbers(store, AuditFilter(), found[-1] if found else None, 2):
        found += page

    assert found == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AuditFilter(actor="alice"), "ix_audit_entries_actor"),
        (AuditFilter(action=LOGIN), "ix_audit_entries_action"),
        (AuditFilter(target="carol"), "ix_audit_entries_target"),
        (AuditFilter(outcome=REFUSED), "ix_audit_entries_outcome"),
        (AuditFilter(actor="alice", outcome=DONE, until="2026"), "ix_audit_entries_actor"),
        (AuditFilter("alice", LOGIN, "carol", DONE), "ix_audit_entries_target"),
        (AuditFilter(since="2026"), "ix_audit_entries_at"),
        (AuditFilter(), "ix_audit_entries_at"),
    ],
    ids=str,
)
def test_an_index_serves_every_filter(local_store: LocalStore, wanted: AuditFilter, index: str) -> None:
    query = newest_first(wanted, before=7, limit=100)
    compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    plan = local_store.sql(text(f"EXPLAIN QUERY PLAN {compiled}"))

    assert [row.detail for row in plan if f"USING INDEX {index} " in f"{row.detail} "]
