"""`mailsettings monitoring status` and `mailsettings server secret-expiry`."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailsettings import settings
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.cli import main
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.monitoring import MonitoringState
from mailsettings.domain.values import Secret

SINCE = "2027-01-15T08:00:00Z"
STARTTLS = ConnectionSecurity.STARTTLS
RELAY = MailServer("relay.example.org", 25, STARTTLS, Sender("a@example.org"))
LOGIN = PasswordAuthentication("alice", Secret("canary-17"))
PROVIDER = MailServer("smtp.example.com", 587, STARTTLS, Sender("a@example.org"), LOGIN)


async def store_two_servers() -> None:
    """The relay is the default server and failed; the provider was never checked."""
    prepare(settings.read())
    backend = create_backend(settings.read())
    await backend.establish()
    for server in (RELAY, PROVIDER):
        await backend.use_cases.mail_servers.create(OPERATOR, Replacement(server))
    async with backend.store.writing() as work:
        end = await work.monitoring.now() + 9.5 * 86400
        failed = MonitoringState(1, 1, False, "connect", "connection_refused", 1_800_000_000, 1_800_000_900, end)
        await work.monitoring.save(failed)
    await backend.close()


@pytest.fixture
def two_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path))
    asyncio.run(store_two_servers())


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    return ran.output


def refusal(*arguments: str) -> tuple[int, str]:
    ran = CliRunner().invoke(main, arguments)
    return ran.exit_code, ran.output.splitlines()[-1]


def test_each_server_is_line_with_health_and_days_left(two_servers: None) -> None:
    day = (datetime.now(UTC) + timedelta(days=40)).date()
    run("server", "secret-expiry", str(day), "--id", "2")

    head, *rows = [line.split() for line in run("monitoring", "status").splitlines()[1:]]
    assert head[:3] == ["ID", "NAME", "SERVER"]
    assert [row[2:4] for row in rows] == [
        ["relay.example.org:25", "failing"],
        ["smtp.example.com:587", "unchecked"],
    ]
    assert rows[0][4:7] == [SINCE, "2027-01-15T08:15:00Z", "connection_refused"]
    assert [row[-2:] for row in rows] == [["9", "-"], ["-", "39"]]
    relay, provider = json.loads(run("monitoring", "status", "--json"))
    assert (relay["health"]["state"], relay["health"]["failure"]) == ("failing", "connection_refused")
    assert provider["health"]["secret_expires_on"] == str(day)
    (expiring,) = json.loads(run("monitoring", "status", "--expiring", "30", "-o", "json"))
    assert expiring["id"] == relay["id"]

    run("server", "secret-expiry", "--never", "--id", "2")
    assert [row.split()[-1] for row in run("monitoring", "status").splitlines()[2:]] == ["-", "-"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["1", "2030-01-01"],
            4,
            "Error: authentication.password is not stored, so its expiry cannot be stored either.",
        ),
        (
            ["2030-01-01", "--id", "9"],
            4,
            "Error: There is no such mail server. `mailsettings server list` prints all.",
        ),
        (["2030-01-01", "--never"], 2, "Error: Give either a date or --never."),
        ([], 2, "Error: Give either a date or --never."),
        (["soon"], 2, "Error: Invalid value for 'DATE': 'soon' is not a date like 2027-03-31."),
    ],
)
def test_an_impossible_expiry_is_refused_in_a_sentence(
    two_servers: None, arguments: list[str], code: int, sentence: str
) -> None:
    assert refusal("server", "secret-expiry", *arguments) == (code, sentence)


def test_the_actor_of_scheduled_checks_is_a_reserved_name(two_servers: None) -> None:
    code, sentence = refusal("token", "--subject", "watch", "--permission", "view-mail-settings")

    assert (code, sentence) == (
        2,
        "Error: Invalid value for '--subject': it must not be watch, which is reserved for scheduled checks.",
    )
