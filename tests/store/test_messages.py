"""The message log in the database: filters, pages, removal, and the last use of devices."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mailsettings.domain.device import Device
from mailsettings.domain.device_overview import DeviceUse
from mailsettings.domain.message_log import (
    NO_MESSAGE_FILTER,
    LoggedMessage,
    MessageFilter,
    MessageResult,
    first_id,
    logged,
)
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.relay.messages import newest_first

from support.databases import LocalStore
from support.messages import START, message

MESSAGES = [
    message(0),
    message(1, "a@example.com", "b@example.com"),
    message(2, device="lab", device_id=8, result=MessageResult.FAILED, code=451, failure="connection_refused"),
    message(3, "B@example.com", result=MessageResult.REFUSED, code=550, enhanced_code=None, mail_server_id=None),
    message(4, sender="", size=2**40, message_id=None),
]


async def add(store: SQLStore, batch: Sequence[LoggedMessage]) -> None:
    async with store.writing_unqueued() as work:
        await work.messages.add(batch)


async def read(store: SQLStore, wanted: MessageFilter = NO_MESSAGE_FILTER, **page: Any) -> list[LoggedMessage]:
    async with store.reading() as view:
        return list(await view.messages.page(wanted, page.get("before"), page.get("limit", 100)))


def seconds(found: Sequence[LoggedMessage]) -> list[int]:
    return [(each.record.at - START).seconds for each in found]


async def test_what_was_logged_is_read_newest_first(store: SQLStore) -> None:
    batch = list(map(logged, MESSAGES))
    await add(store, batch)
    await add(store, [])

    assert await read(store) == batch[::-1]


async def test_a_batch_that_is_written_again_changes_nothing(store: SQLStore) -> None:
    batch = [logged(message(0, "a@example.com", "b@example.com"))]
    for _ in range(2):
        await add(store, batch)

    assert await read(store) == batch


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"device": "lab"}, [2]),
    ({"device": "nothing"}, []),
    ({"recipient": "b@example.com"}, [3, 1]),
    ({"recipient": "B@Example.COM"}, [3, 1]),
    ({"recipient": "user@example.com", "device": "scanner-3"}, [4, 0]),
    ({"sender": "scan@example.com"}, [3, 2, 1, 0]),
    ({"sender": ""}, [4]),
    ({"message_id": "<2@example.com>"}, [2]),
    ({"failed": True}, [3, 2]),
    ({"failed": False}, [4, 1, 0]),
    ({"failed": True, "device": "lab"}, [2]),
    ({"failed": True, "recipient": "b@example.com"}, [3]),
    ({"failed": False, "recipient": "b@example.com"}, [1]),
    ({"since": START + timedelta(seconds=3)}, [4, 3]),
    ({"until": START + timedelta(seconds=2)}, [1, 0]),
    (
        {"since": START + timedelta(seconds=1), "until": START + timedelta(seconds=4), "device": "scanner-3"},
        [3, 1],
    ),
    ({"sender": "scan@example.com", "device": "lab", "message_id": "<2@example.com>"}, [2]),
]


async def test_filters_choose_messages_alone_and_together(store: SQLStore) -> None:
    await add(store, list(map(logged, MESSAGES)))
    found = [seconds(await read(store, MessageFilter(**values))) for values, _ in FILTERS]

    assert found == [expected for _, expected in FILTERS]


async def test_pages_follow_each_other_without_gaps(store: SQLStore) -> None:
    """Also while newer messages arrive, and with the messages to one address alone."""
    await add(store, [logged(message(number, "a@example.com", "b@example.com")) for number in range(7)])
    found = []
    for wanted in (NO_MESSAGE_FILTER, MessageFilter(recipient="a@example.com")):
        before = first_id(START + timedelta(seconds=10))
        while page := await read(store, wanted, before=before, limit=3):
            found.append(seconds(page))
            before = page[-1].id
            await add(store, [logged(message(100, "a@example.com"))])

    assert found == [[6, 5, 4], [3, 2, 1], [0]] * 2


async def test_old_messages_go_with_their_recipients(store: SQLStore) -> None:
    await add(store, [logged(message(number, "a@example.com", "b@example.com")) for number in range(5)])
    end = first_id(START + timedelta(seconds=3))
    removed = []
    for _ in range(3):
        async with store.writing_unqueued() as work:
            removed.append(await work.messages.remove_before(end, 2))

    assert removed == [2, 1, 0]
    assert seconds(await read(store)) == [4, 3]
    assert len(await read(store, MessageFilter(recipient="b@example.com"))) == 2


async def test_the_last_use_of_a_device_only_moves_forward(store: SQLStore) -> None:
    async with store.writing() as work:
        device_id = await work.devices.add(Device(0, "scanner-3"), None)
    seen = []
    for at, peer in [(10.5, "10.0.0.1"), (20.5, "10.0.0.2"), (15.5, "10.0.0.3")]:
        async with store.writing_unqueued() as work:
            await work.messages.note_uses({device_id: DeviceUse(at, peer), 99: DeviceUse(at, "gone")})
            await work.messages.note_uses({})
        async with store.reading() as view:
            seen.append(await view.devices.uses([device_id, 99]))

    first, last = DeviceUse(10.5, "10.0.0.1"), DeviceUse(20.5, "10.0.0.2")
    assert seen == [{device_id: first}, {device_id: last}, {device_id: last}]


@pytest.mark.parametrize(
    ("values", "index"),
    [
        ({"device": "d"}, "ix_messages_device"),
        ({"sender": "s"}, "ix_messages_sender"),
        ({"message_id": "m"}, "ix_messages_message_id"),
        ({"recipient": "r"}, "ix_message_recipients_address"),
        ({"failed": True}, "ix_messages_failed"),
        ({"device": "d", "failed": True, "sender": "s"}, "ix_messages_sender"),
        ({"recipient": "r", "device": "d", "failed": True}, "ix_message_recipients_address"),
        ({}, "sqlite_autoindex_messages_1"),
    ],
    ids=str,
)
def test_an_index_serves_each_filter(local_store: LocalStore, values: dict[str, Any], index: str) -> None:
    wanted = MessageFilter(**values, since=START, until=START)
    database = engine.sync_engine(local_store.url)
    query = newest_first(wanted, "f" * 32, 10).compile(database, compile_kwargs={"literal_binds": True})
    database.dispose()
    plan = [row.detail for row in local_store.sql(text(f"EXPLAIN QUERY PLAN {query}"))]

    assert index in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)
