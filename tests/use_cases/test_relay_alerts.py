"""A mail server that refuses the relay's login is reported once, and so is the end of that."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender, StoredMailServer
from mailsettings.domain.monitoring import WaitingEvent
from mailsettings.store import coordination
from mailsettings.use_cases.relay import alerts as relay_alerts
from mailsettings.use_cases.relay.alerts import RelayAlerts

from support.databases import LocalStore
from support.waiting import eventually

SERVER = StoredMailServer(
    4, 2, MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"))
)
OTHER = replace(SERVER, id=5)
REFUSED = ProbeFailure(FailureCode.AUTHENTICATION_FAILED, ProbeStage.AUTHENTICATE, "canary-title", "canary-words")


async def waiting(store: LocalStore) -> Sequence[WaitingEvent]:
    async with store.reading() as view:
        return await view.outbox.due(1000)


async def written(store: LocalStore, count: int) -> Sequence[WaitingEvent]:
    return await eventually(lambda: waiting(store), lambda found: len(found) >= count)


async def test_a_refusal_and_its_end_are_an_event_each(local_store: LocalStore) -> None:
    counted: list[bool] = []
    alerts = RelayAlerts(local_store, counted.append, has_webhook=True, pause_seconds=0.01)
    async with alerts.running():
        alerts.accepted(SERVER)
        alerts.refused(SERVER, REFUSED)
        alerts.refused(SERVER, REFUSED)
        alerts.refused(OTHER, REFUSED)
        alerts.accepted(SERVER)
        alerts.accepted(SERVER)
        events = [json.loads(event.body) for event in await written(local_store, 3)]

    assert sorted((event["type"], event["data"]["id"]) for event in events) == [
        ("mail_server.relay_login_recovered", 4),
        ("mail_server.relay_login_refused", 4),
        ("mail_server.relay_login_refused", 5),
    ]
    refused = next(event for event in events if event["type"].endswith("refused") and event["data"]["id"] == 4)
    assert refused["data"] == {
        "id": 4,
        "version": 2,
        "host": "mail.example.org",
        "port": 587,
        "stage": "authenticate",
        "code": "smtp_auth_failed",
    }
    assert counted == [True, False, False, False, True, True]


async def test_the_log_names_the_code_and_no_words(
    local_store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = RelayAlerts(local_store, lambda _: None, has_webhook=False)
    with caplog.at_level(logging.INFO):
        alerts.refused(SERVER, REFUSED)
        alerts.accepted(SERVER)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]

    assert [level for level, _ in lines] == ["WARNING", "INFO"]
    assert "mail server 4 refuses the login of the relay" in lines[0][1]
    assert "smtp_auth_failed" in lines[0][1]
    assert "canary" not in caplog.text


async def test_without_a_webhook_no_event_is_stored(local_store: LocalStore) -> None:
    alerts = RelayAlerts(local_store, lambda _: None, has_webhook=False, pause_seconds=0.01)
    async with alerts.running():
        alerts.refused(SERVER, REFUSED)
        await asyncio.sleep(0.05)

    assert await waiting(local_store) == []


async def test_an_event_waits_while_the_database_is_away(local_store: LocalStore) -> None:
    alerts = RelayAlerts(local_store, lambda _: None, has_webhook=True, pause_seconds=0.01)
    local_store.away = True
    async with alerts.running():
        alerts.refused(SERVER, REFUSED)
        await asyncio.sleep(0.05)
        local_store.away = False

        assert len(await written(local_store, 1)) == 1


async def test_events_that_wait_for_the_database_are_bounded(local_store: LocalStore) -> None:
    alerts = RelayAlerts(local_store, lambda _: None, has_webhook=True, pause_seconds=0.01)
    for number in range(relay_alerts.MAX_UNWRITTEN_EVENTS + 10):
        alerts.refused(replace(SERVER, id=number), REFUSED)
    async with alerts.running():
        await written(local_store, relay_alerts.MAX_UNWRITTEN_EVENTS)
        await asyncio.sleep(0.05)

    assert len(await waiting(local_store)) == relay_alerts.MAX_UNWRITTEN_EVENTS


async def test_the_log_reports_an_event_that_the_outbox_refuses(
    local_store: LocalStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordination, "MAX_WAITING_EVENTS", 0)
    alerts = RelayAlerts(local_store, lambda _: None, has_webhook=True, pause_seconds=0.01)
    async with alerts.running():
        alerts.refused(SERVER, REFUSED)
        await asyncio.sleep(0.1)

    assert "only the log reports mail_server.relay_login_refused." in caplog.text
