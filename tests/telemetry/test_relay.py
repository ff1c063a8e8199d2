"""The metrics of the relay: few series for any device and mail server, and correct values from the start."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from mailsettings.domain.message_log import MessageRecord, MessageResult
from mailsettings.telemetry.relay import RelayMetrics

Series = dict[tuple[str, ...], float]


async def series(metrics: RelayMetrics, name: str) -> Series:
    text = (await metrics.exposition()).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}


def record(result: MessageResult, milliseconds: int = 0) -> MessageRecord:
    at = datetime(2026, 11, 28, tzinfo=UTC)
    return MessageRecord(
        at, 1, "scanner-3", "192.0.2.7", 1, "scan@example.com", (), result, 250, milliseconds=milliseconds
    )


async def test_series_of_alarms_exist_before_the_first_event() -> None:
    metrics = RelayMetrics()

    assert set(await series(metrics, "mailsettings_relay_messages_total")) == {(each,) for each in MessageResult}
    assert await series(metrics, "mailsettings_relay_device_logins_total") == {("yes",): 0, ("no",): 0}
    assert await series(metrics, "mailsettings_relay_server_logins_total") == {("yes",): 0, ("no",): 0}
    assert await series(metrics, "mailsettings_relay_unlogged_messages_total") == {(): 0}
    assert set(await series(metrics, "mailsettings_relay_refused_connections_total")) == {
        ("total",),
        ("address",),
        ("network",),
    }


async def test_messages_are_counted_by_result_and_time() -> None:
    metrics = RelayMetrics()
    metrics.message(record(MessageResult.DELIVERED, 40))
    metrics.message(record(MessageResult.DELIVERED, 700))
    metrics.message(record(MessageResult.FAILED, 51_000))
    counted = await series(metrics, "mailsettings_relay_messages_total")
    seconds = await series(metrics, "mailsettings_relay_message_duration_seconds_bucket")

    assert {result: count for (result,), count in counted.items() if count} == {"delivered": 2, "failed": 1}
    assert (seconds["0.05",], seconds["1.0",], seconds["30.0",], seconds["60.0",]) == (1, 2, 2, 3)


async def test_logins_connections_and_places_are_shown() -> None:
    metrics = RelayMetrics()
    metrics.device_login(accepted=False)
    metrics.server_login(accepted=False)
    metrics.server_login(accepted=True)
    metrics.refused_connection("address")
    metrics.not_logged(3)
    metrics.connections(7)
    metrics.sample(waiting=61, places=3, pool={"size": 5, "in_use": 1, "idle": 1, "overflow": 0})

    assert await series(metrics, "mailsettings_relay_device_logins_total") == {("yes",): 0, ("no",): 1}
    assert await series(metrics, "mailsettings_relay_server_logins_total") == {("yes",): 1, ("no",): 1}
    assert (await series(metrics, "mailsettings_relay_refused_connections_total"))["address",] == 1
    assert await series(metrics, "mailsettings_relay_unlogged_messages_total") == {(): 3}
    assert await series(metrics, "mailsettings_relay_connections") == {(): 7}
    assert await series(metrics, "mailsettings_relay_waiting_messages") == {(): 61}
    assert await series(metrics, "mailsettings_relay_places") == {(): 3}
    assert await series(metrics, "mailsettings_database_pool_in_use") == {(): 1}
