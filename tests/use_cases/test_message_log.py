"""The message log apart from the mail: never waits, never raises, bounded, written again after an outage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal
from mailsettings.domain.device import Device
from mailsettings.domain.device_overview import DeviceSettings, DeviceUse
from mailsettings.domain.errors import PermissionDenied, StoreUnavailable
from mailsettings.domain.message_log import MessageFilter
from mailsettings.store.database_errors import StatementRejected
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.devices.management import ManageDevices
from mailsettings.use_cases.relay import message_log
from mailsettings.use_cases.relay.message_log import MessageLog
from mailsettings.use_cases.relay.messages import ReadMessages

from support.databases import LocalStore
from support.messages import START, message
from support.timeouts import GUARD_SECONDS


class Store(LocalStore):
    """Rejects batches with the sender `rejects`; does not confirm the next commit if `forgets`."""

    rejects: str | None = None
    forgets = False
    attempts = 0
    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    """Called during each write."""

    @asynccontextmanager
    async def writing_unqueued(self) -> AsyncIterator[Transaction]:
        self.attempts += 1
        self._require_there()
        self.meanwhile()
        async with super().writing_unqueued() as work:
            add = work.messages.add

            async def checked(batch: object) -> None:
                if any(each.record.sender == self.rejects for each in batch):  # type: ignore[attr-defined]
                    raise StatementRejected("DataError")
                await add(batch)  # type: ignore[arg-type]

            work.messages.add = checked  # type: ignore[method-assign]
            yield work
        if self.forgets:
            self.forgets = False
            raise StoreUnavailable


@pytest.fixture
async def store(local_store: LocalStore) -> AsyncIterator[Store]:
    store = Store(local_store.url)
    yield store
    await store.close()


@pytest.fixture
def log(store: Store) -> MessageLog:
    return MessageLog(store, gather_seconds=0.001, retry_seconds=0.001, clock=lambda: START.timestamp())


async def logged_in(store: LocalStore) -> list[int]:
    """The seconds of all logged messages, oldest first."""
    found = await ReadMessages(store).page(OPERATOR)
    return [round((each.record.at - START).total_seconds()) for each in reversed(found)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_SECONDS):
        while not condition():  # noqa: ASYNC110  # nothing tells when
            await asyncio.sleep(0.001)


async def test_records_are_written_without_waiting_for_them(log: MessageLog, store: Store) -> None:
    async with log.running():
        for number in range(3):
            log.note(message(number))
        await until(lambda: not log.waiting)
        log.note(message(3))
        await until(lambda: not log.waiting)

        assert await logged_in(store) == [0, 1, 2, 3]


async def test_the_end_writes_the_rest(store: Store) -> None:
    log = MessageLog(store, gather_seconds=GUARD_SECONDS)
    async with log.running():
        log.note(message(0))
        await asyncio.sleep(0)

    assert await logged_in(store) == [0]
    assert log.lost == 0


async def test_records_wait_while_the_database_is_away(
    log: MessageLog, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    async with log.running():
        for number in range(3):
            log.note(message(number))
            await until(lambda: "database is away" in caplog.text)
        tried = store.attempts
        await until(lambda: store.attempts > tried + 1)
        store.away = False
        await until(lambda: not log.waiting)
        await until(lambda: "written again" in caplog.text)

    assert await logged_in(store) == [0, 1, 2]
    assert log.lost == 0
    assert caplog.text.count("database is away") == 1


async def test_records_that_find_no_room_are_counted(
    log: MessageLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "MAX_WAITING_ROWS", 7)
    told: list[int] = []
    log.on_lost = told.append
    for number in range(5):
        log.note(message(number, "a@example.com", "b@example.com"))
    before = log.waiting
    await log.write_waiting()
    log.note(message(9))
    await log.write_waiting()

    assert (before, log.lost, told) == (2, 3, [1, 1, 1])
    assert await logged_in(store) == [0, 1, 9]


async def test_what_the_end_cannot_write_is_counted(
    log: MessageLog, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with log.running():
        store.away = True
        log.note(message(0))

    assert log.lost == 1
    assert "1 records of the message log were lost" in caplog.text


async def test_a_rejected_record_stops_no_other(log: MessageLog, store: Store) -> None:
    store.rejects = "rejected@example.com"
    for number in range(4):
        log.note(message(number, sender="rejected@example.com" if number == 2 else "scan@example.com"))
    await log.write_waiting()

    assert await logged_in(store) == [0, 1, 3]
    assert log.lost == 1


async def test_a_batch_without_confirmation_is_logged_once(log: MessageLog, store: Store) -> None:
    store.forgets = True
    log.note(message(0))
    with pytest.raises(StoreUnavailable):
        await log.write_waiting()
    log.note(message(1))
    await log.write_waiting()

    assert await logged_in(store) == [0, 1]


async def test_an_unexpected_fault_loses_one_batch_only(
    log: MessageLog, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with log.running():
        log.note(message(0, at=None))
        await until(lambda: log.lost == 1)
        log.note(message(1))
        await until(lambda: not log.waiting)
        log.note(message(0, at=None))

    assert log.lost == 2
    assert "failed unexpectedly" in caplog.text
    assert await logged_in(store) == [1]


async def test_records_that_come_meanwhile_gather_first(log: MessageLog, store: Store) -> None:
    store.meanwhile = lambda: log.note(message(1)) if store.attempts == 1 else None
    log.note(message(0))
    await log.write_waiting()

    assert (store.attempts, log.waiting) == (1, 1)
    assert await logged_in(store) == [0]


async def test_many_records_are_several_batches(
    log: MessageLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "MAX_BATCH", 3)
    for number in range(8):
        log.note(message(number))
    await log.write_waiting()

    assert await logged_in(store) == list(range(8))


async def test_messages_are_removed_after_their_days(
    store: Store, log: MessageLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "MAX_REMOVED", 2)
    old = START - timedelta(days=message_log.KEEP_DAYS, seconds=1)
    for _ in range(5):
        log.note(message(at=old))
    log.note(message(at=old + timedelta(seconds=2)))
    await log.write_waiting()
    await log.remove_old()

    assert len(await ReadMessages(store).page(OPERATOR)) == 1


async def test_a_running_log_removes_old_messages(
    store: Store, log: MessageLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "REMOVAL_SECONDS", 0.001)
    log.note(message(at=START - timedelta(days=31)))
    await log.write_waiting()
    store.away = True
    async with log.running():
        await asyncio.sleep(0.01)
        store.away = False
        async with asyncio.timeout(GUARD_SECONDS):
            while await logged_in(store):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)


async def test_the_last_use_comes_with_the_messages(log: MessageLog, store: Store) -> None:
    manage = ManageDevices(store)
    device_id, _ = await manage.add(OPERATOR, DeviceSettings(Device(0, "scanner-3")))
    for number, peer in [(2, "10.0.0.2"), (1, "10.0.0.1")]:
        log.note(message(number, device_id=device_id, peer=peer))
    await log.write_waiting()
    overview = await manage.get(OPERATOR, device_id)

    assert overview.last_use == DeviceUse(START.timestamp() + 2, "10.0.0.2")


async def test_reading_needs_the_permission(store: Store) -> None:
    with pytest.raises(PermissionDenied):
        await ReadMessages(store).page(Principal("x", frozenset(Permission) - {Permission.MESSAGES_READ}))
    reader = Principal("x", frozenset({Permission.MESSAGES_READ}))

    assert await ReadMessages(store).page(reader, MessageFilter(device="x"), "f" * 32, 1) == []
