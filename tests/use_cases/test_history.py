"""Earlier versions of settings are kept in a bounded number and can be restored, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal
from mailsettings.domain.change import MailServerVersion, Precondition, Replacement, StateTags
from mailsettings.domain.errors import (
    MailServerNotFound,
    NoSuchVersion,
    OutcomeUnknown,
    PermissionDenied,
    PreconditionFailed,
)
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.databases import KEY

ALICE = Principal("alice", frozenset(Permission))
KEPT = 4


def server(host: str, password: str = "old") -> MailServer:
    login = PasswordAuthentication("reports", Secret(password))
    return MailServer(f"{host}.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"), login)


@pytest.fixture
def keep(store: SQLStore) -> ManageMailServers:
    return ManageMailServers(store, KEPT)


@pytest.fixture
def history(store: SQLStore) -> MailServerHistory:
    return MailServerHistory(store, KEPT)


async def hosts(history: MailServerHistory, server_id: int | None = None) -> list[tuple[int, str | None]]:
    """Version and first part of the host of each that is kept."""
    found = await history.versions(OPERATOR, server_id)
    return [(one.version, one.server.host.split(".")[0] if one.server else None) for one in found]


async def test_every_version_is_kept_with_its_author(keep: ManageMailServers, history: MailServerHistory) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(OPERATOR, Replacement(server("b")))
    await keep.delete_default(ALICE)

    found = await history.versions(OPERATOR, None)

    assert await hosts(history) == [(3, None), (2, "b"), (1, "a")]
    assert [one.revision.by for one in found] == ["alice", "operator", "alice"]
    assert all(one.revision.at is not None and one.was_default for one in found)


async def test_a_concurrent_change_never_lists_a_version_twice(
    keep: ManageMailServers, history: MailServerHistory, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    read_versions, changes = SQLMailServers.versions, set[asyncio.Task[None]]()

    async def versions_after_a_change(servers: SQLMailServers, server_id: int) -> Sequence[MailServerVersion]:
        change = ManageMailServers(other, KEPT).put_default(ALICE, Replacement(server("c")))
        changes.add(asyncio.create_task(change))
        # A database with a log of its own commits meanwhile; SQLite without one waits for this read to end.
        await asyncio.wait(changes, timeout=0.5)
        return await read_versions(servers, server_id)

    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))
    with monkeypatch.context() as patched:
        patched.setattr(SQLMailServers, "versions", versions_after_a_change)
        during = await hosts(history)
    await asyncio.gather(*changes)
    await other.close()

    assert during == [(2, "b"), (1, "a")]
    assert await hosts(history) == [(3, "c"), (2, "b"), (1, "a")]


async def test_restoring_brings_back_all_settings_and_the_secret(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a", "first")))
    await keep.put_default(ALICE, Replacement(server("b", "second")))
    await keep.put_default(ALICE, Replacement(server("c", "third")))

    restored = await history.restore(ALICE, None, 1)

    assert (restored.version, restored.server) == (4, server("a", "first"))
    assert (await keep.get_default(ALICE)).server == server("a", "first")
    assert await hosts(history) == [(4, "a"), (3, "c"), (2, "b"), (1, "a")]


async def test_restoring_twice_undoes_the_first_restore(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))

    idempotency_key = await history.restore(ALICE, None, None)
    twice = await history.restore(ALICE, None, None)

    assert (idempotency_key.server, twice.server) == (server("a"), server("b"))


async def test_a_removed_server_is_restored_with_its_id(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("other")))
    removed = await keep.create(ALICE, Replacement(server("a")))
    await keep.replace(ALICE, removed, Replacement(server("b")))
    await keep.delete(ALICE, removed)

    restored = await history.restore(ALICE, removed, None)
    later = await keep.create(ALICE, Replacement(server("c")))

    assert (restored.id, restored.version, restored.server) == (removed, 4, server("b"))
    assert later == removed + 1
    assert (await keep.get_default(ALICE)).server == server("other")


async def test_a_removed_default_server_is_restored_as_the_default(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    other = await keep.create(ALICE, Replacement(server("other")))
    await keep.delete_default(ALICE)

    restored = await history.restore(ALICE, None, None)

    assert (await keep.get_default(ALICE)).id == restored.id != other


async def test_a_restored_server_does_not_replace_the_current_default(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.delete_default(ALICE)
    await keep.put_default(ALICE, Replacement(server("b")))

    await history.restore(ALICE, 1, None)

    assert (await keep.get_default(ALICE)).server == server("b")


async def test_a_bounded_number_of_versions_is_kept(keep: ManageMailServers, history: MailServerHistory) -> None:
    for number in range(8):
        await keep.put_default(ALICE, Replacement(server(f"h{number}")))

    assert await hosts(history) == [(8, "h7"), (7, "h6"), (6, "h5"), (5, "h4"), (4, "h3")]


async def test_bounded_number_of_versions_of_removed_servers_is_kept(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    stays = await keep.create(ALICE, Replacement(server("stays")))
    await keep.replace(ALICE, stays, Replacement(server("stays")))
    ids = [await keep.create(ALICE, Replacement(server("gone"))) for _ in range(5)]
    for one in ids:
        await keep.delete(ALICE, one)

    assert await hosts(history, stays) == [(2, "stays"), (1, "stays")]
    assert [len(await hosts(history, one)) for one in ids[-2:]] == [2, 2]
    with pytest.raises(MailServerNotFound):
        await history.versions(ALICE, ids[-3])


async def test_no_version_is_kept_if_the_limit_is_zero(store: SQLStore) -> None:
    keep, history = ManageMailServers(store, 0), MailServerHistory(store, 0)
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))
    kept_of_it = await hosts(history)
    await keep.delete_default(ALICE)

    assert kept_of_it == [(2, "b")]
    with pytest.raises(MailServerNotFound):
        await history.versions(ALICE, None)


async def test_forgetting_leaves_the_current_server(keep: ManageMailServers, history: MailServerHistory) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))

    await history.forget(ALICE, None)

    assert await hosts(history) == [(2, "b")]


@pytest.mark.parametrize("version", [2, 9, None])
async def test_a_deleted_version_cannot_be_restored(
    keep: ManageMailServers, history: MailServerHistory, version: int | None
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))

    with pytest.raises(NoSuchVersion):
        await history.restore(ALICE, None, version)

    assert await hosts(history) == [(1, "a")]


@pytest.mark.parametrize("server_id", [None, 7])
async def test_an_unknown_server_has_no_history(history: MailServerHistory, server_id: int | None) -> None:
    for use in (
        history.versions(ALICE, server_id),
        history.restore(ALICE, server_id, None),
    ):
        with pytest.raises(MailServerNotFound):
            await use


async def test_restoring_requires_the_expected_state(keep: ManageMailServers, history: MailServerHistory) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))

    with pytest.raises(PreconditionFailed, match="by alice"):
        await history.restore(OPERATOR, None, None, Precondition(one_of=StateTags(frozenset({"1.1"}))))

    assert await hosts(history) == [(2, "b"), (1, "a")]


async def test_an_unexpected_removal_names_who_removed_the_server(keep: ManageMailServers) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.delete_default(ALICE)

    with pytest.raises(PreconditionFailed, match="it was removed by alice at 20"):
        await keep.put_default(OPERATOR, Replacement(server("b")), Precondition(one_of=StateTags()))


async def test_the_audit_log_records_who_restored_which_version(
    store: SQLStore, keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(replace(server("a"), port=25)))
    await history.restore(OPERATOR, None, None)
    await history.forget(OPERATOR, None)

    async with store.reading() as view:
        [restored, forgotten] = [entry.record for entry in await view.audit.entries(2, 10)]

    assert (restored.action, restored.actor, restored.target) == (
        "mail-server.restore",
        "operator",
        "mail-server:1",
    )
    assert set(restored.details) == {"password", "port"}  # each request gave the secret again
    assert restored.details["port"] == {"before": 25, "after": 587}
    assert (forgotten.action, forgotten.target) == ("mail-server.forget", "mail-server:1")


@pytest.mark.parametrize("needed", [Permission.MAIL_SERVERS_READ, Permission.MAIL_SERVERS_WRITE])
async def test_the_history_needs_the_permissions_of_the_current_server(
    keep: ManageMailServers, history: MailServerHistory, needed: Permission
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))
    almost = Principal("almost", frozenset(Permission) - {needed})
    uses: dict[Permission, list[Callable[[], Awaitable[object]]]] = {
        Permission.MAIL_SERVERS_READ: [lambda: history.versions(almost, None)],
        Permission.MAIL_SERVERS_WRITE: [
            lambda: history.restore(almost, None, None),
            lambda: history.forget(almost, None),
        ],
    }

    for use in uses[needed]:
        with pytest.raises(PermissionDenied):
            await use()
    assert await hosts(history) == [(2, "b"), (1, "a")]


async def test_a_repeated_restore_returns_the_first_result_while_kept(
    keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.put_default(ALICE, Replacement(server("b")))
    first = await history.restore(ALICE, None, None, idempotency_key=IdempotencyKey("key", b"back"))
    await keep.put_default(ALICE, Replacement(server("c")))
    await keep.put_default(ALICE, Replacement(server("d")))
    again = await history.restore(ALICE, None, None, idempotency_key=IdempotencyKey("key", b"back"))
    await history.forget(ALICE, None)

    assert (first.server, first.state) == (again.server, again.state) == (server("a"), "1.3")
    with pytest.raises(OutcomeUnknown):
        await history.restore(ALICE, None, None, idempotency_key=IdempotencyKey("key", b"back"))
    assert await hosts(history) == [(5, "d")]


async def test_restoring_leaves_a_former_default_server_as_it_is(
    store: SQLStore, keep: ManageMailServers, history: MailServerHistory
) -> None:
    await keep.put_default(ALICE, Replacement(server("a")))
    await keep.delete_default(ALICE)
    await keep.put_default(ALICE, Replacement(server("b")))
    await history.restore(ALICE, 1, None)
    await keep.replace(ALICE, 1, Replacement(server("changed")))
    await keep.delete_default(ALICE)
    await history.forget(ALICE, 2)

    with pytest.raises(MailServerNotFound):
        await history.restore(ALICE, None, None)
    assert (await keep.get(ALICE, 1)).server == server("changed")
