"""Monitoring by real processes: one of them checks, another takes over when it is killed, and events are sent."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailsettings import settings
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.bootstrap.outgoing import create_webhook
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.monitoring import Health
from mailsettings.domain.values import Secret
from mailsettings.network.policy import EgressPolicy
from mailsettings.settings import SettingsInvalid
from mailsettings.store.database import SQLStore

from support.canary import Canary
from support.processes import clean_environment, serving
from support.smtp_server import AUTHORITY_PEM as MAIL_AUTHORITY_PEM
from support.smtp_server import HOST, USERNAME, Behaviour, RealServer, real_server
from support.timeouts import GUARD_SECONDS
from support.webhook_receiver import AUTHORITY_PEM, SECRET, webhook_receiver

LEASE_SECONDS = 2
HAS_LEASE = "This process runs the scheduled checks from now on."
STARTTLS = ConnectionSecurity.STARTTLS


class MonitoringProcess:
    def __init__(self, url: str, output: Path) -> None:
        self.output = output
        tests = Path(__file__).parent
        command = [sys.executable, "-m", "support.monitoring_process", url, str(LEASE_SECONDS)]
        with output.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=tests, stdout=file, stderr=subprocess.STDOUT)

    @property
    def has_led(self) -> bool:
        return HAS_LEASE in self.output.read_text()

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(GUARD_SECONDS)


@asynccontextmanager
async def three_processes(url: str, folder: Path) -> AsyncIterator[list[MonitoringProcess]]:
    processes = [MonitoringProcess(url, folder / f"{number}.log") for number in range(3)]
    try:
        yield processes
    finally:
        for one in processes:
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait()


async def until_known_to_work(store: SQLStore, count: int, processes: list[MonitoringProcess]) -> None:
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            assert any(one.process.poll() is None for one in processes), processes[0].output.read_text()
            async with store.reading() as view:
                if (await view.monitoring.summary()).servers[Health.WORKING] == count:
                    return
            await asyncio.sleep(0.03)


async def add(store: SQLStore, server: RealServer, count: int) -> None:
    async with store.writing() as work:
        for _ in range(count):
            await work.mail_servers.add(server.settings())


async def test_one_of_three_processes_checks_and_another_takes_over(
    store: SQLStore, database_url: str, tmp_path: Path
) -> None:
    async with real_server(Behaviour()) as server, three_processes(database_url, tmp_path) as processes:
        await add(store, server, 5)
        await until_known_to_work(store, 5, processes)
        (leader,) = [one for one in processes if one.has_led]
        leader.end(signal.SIGKILL)
        async with store.reading() as view:
            assert (
                await view.monitoring.summary()
            ).has_leader  # so that the others have to wait until it has run out
        await add(store, server, 3)
        await until_known_to_work(store, 8, processes)
        next_leaders = [one for one in processes if one.has_led and one is not leader]
        codes = [one.end(signal.SIGTERM) for one in processes if one is not leader]
        async with store.reading() as view:
            has_leader = (await view.monitoring.summary()).has_leader

    assert len(next_leaders) == 1
    assert server.connections == 8
    assert (codes, has_leader, server.messages) == ([0, 0], False, [])


async def test_two_workers_check_once_and_send_one_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = Canary(plain=True)
    mail_ca, hook_ca = tmp_path / "mail.pem", tmp_path / "hook.pem"
    mail_ca.write_text(MAIL_AUTHORITY_PEM)
    hook_ca.write_text(AUTHORITY_PEM)
    day = (datetime.now(UTC) + timedelta(days=20)).date()
    async with real_server(Behaviour(STARTTLS, canary.secret)) as server, webhook_receiver(name=HOST) as receiver:
        environment = clean_environment(
            tmp_path / "data",
            DEV="true",
            SMTP_CA_FILE=str(mail_ca),
            MONITORING_INTERVAL="1h",
            WEBHOOK_URL=f"https://{HOST}:{receiver.port}/{SECRET[-8:]}",
            WEBHOOK_SECRET=SECRET,
            WEBHOOK_CA_FILE=str(hook_ca),
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        prepare(settings.read())
        backend = create_backend(settings.read())
        await backend.establish()
        login = PasswordAuthentication(USERNAME, Secret(canary.secret))
        stored = MailServer(HOST, server.port, STARTTLS, Sender("a@example.org"), login)
        await backend.use_cases.mail_servers.put_default(OPERATOR, Replacement(stored))
        await backend.monitoring_status.set_secret_expiry(OPERATOR, None, day)
        with serving(environment, "--workers", "2") as (_, output):
            (post,) = await receiver.received(1)
        (found,) = await backend.monitoring_status.list(OPERATOR)
        await backend.close()

    assert post.is_signed()
    told = json.loads(post.body)
    assert (told["type"], told["data"]["id"], told["data"]["days_left"]) == ("mail_server.secret_expiring", 1, 19)
    assert (server.connections, server.messages, len(receiver.posts)) == (1, [], 1)
    assert (found.health, found.secret_ends_on) == (Health.WORKING, day)
    canary.assert_nowhere(output, post.body)
    assert SECRET[-8:] not in output.read_text()


WEBHOOK = {
    "MONITORING_INTERVAL": "15m",
    "WEBHOOK_URL": "https://hooks.example.org/canary",
    "WEBHOOK_SECRET": SECRET,
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"MONITORING_INTERVAL": "59"}, "MONITORING_INTERVAL"),
        ({"MONITORING_INTERVAL": "canary"}, "MONITORING_INTERVAL"),
        ({"MONITORING_INTERVAL": "8d"}, "MONITORING_INTERVAL"),
        ({"MONITORING_INTERVAL": ""}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "http://hooks.example.org/canary"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://canary@hooks.example.org/"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "http://[::1%25eth0]/canary"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": ""}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_SECRET": ""}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_SECRET": "whsec_canary"}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_SECRET": "canary"}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_CA_FILE": "/canary.pem"}, "WEBHOOK_CA_FILE"),
    ],
)
def test_setting_that_does_not_fit_is_named_without_echo(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    for name, value in (WEBHOOK | changes).items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", value)

    with pytest.raises(SettingsInvalid, match=rf"^MAILSETTINGS_{named} ") as refused:
        create_webhook(settings.read(), EgressPolicy())
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "seconds"), [("60", 60), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("", None)]
)
def test_an_interval_is_written_as_people_do(
    monkeypatch: pytest.MonkeyPatch, written: str, seconds: int | None
) -> None:
    monkeypatch.setenv("MAILSETTINGS_MONITORING_INTERVAL", written)

    assert settings.read().monitoring_interval == seconds
