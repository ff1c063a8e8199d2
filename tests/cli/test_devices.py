"""The commands about devices and messages, on this machine."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mailsettings.cli import main
from mailsettings.domain.message_log import MessageRecipient, MessageResult, logged

from support.canary import Canary
from support.databases import LocalStore, new_file
from support.messages import message
from support.processes import clean_environment

ADD = (
    "device",
    "add",
    "scanner-3",
    "--from",
    "scan@example.com",
    "--network",
    "10.1.0.0/16",
    "--per-minute",
    "30",
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a new database."""
    environment = clean_environment(tmp_path / "data") | {"MAILSETTINGS_RELAY_HOST_NAME": "relay.example.com"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    new_file(tmp_path / "data" / "mailsettings.db")
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def found(*arguments: str) -> Any:
    ran = run(*arguments)
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


def test_adding_a_device_prints_what_to_enter_once(data: Path) -> None:
    ran = run(*ADD)
    lines = dict(re.findall(r"^(.+?)  +(.+)$", ran.stdout, re.MULTILINE))
    canary = Canary(made=lines["secret"])
    shown, listed = run("device", "show", "scanner-3", "-o", "json"), run("device", "list")

    assert ran.exit_code == 0
    assert lines == {
        "host": "relay.example.com",
        "port": "2587",
        "encryption": "STARTTLS",
        "user name": "scanner-3",
        "secret": lines["secret"],
    }
    assert len(lines["secret"]) == 26
    assert "port 2465" in ran.stderr
    assert json.loads(shown.stdout)["senders"] == ["scan@example.com"]
    assert re.search(r"scanner-3 +scan@example.com +10.1.0.0/16 +missing +30", listed.stdout)
    canary.assert_nowhere(ran.stderr, shown.output, listed.output, data)


def test_a_device_that_trusts_its_network_gets_no_secret(data: Path) -> None:
    ran = run("device", "create", "lab", "--trust-network", "10.9.0.0/24", "--disabled")
    shown = found("device", "show", "lab", "--json")

    assert "secret" not in ran.stdout
    assert "needs no login" in ran.stderr
    assert "It may send from no address yet" in ran.stderr
    assert (shown["networks"], shown["trusts_network"], shown["enabled"]) == (["10.9.0.0/24"], True, False)


def test_a_device_is_changed_and_removed(data: Path) -> None:
    first = found(*ADD, "--max-size", "20M", "-o", "json")
    changed = found(
        *("device", "set", "scanner-3", "--from", "*@example.com", "--rename", "scanner-4", "--unset", "network"),
        *("--unset", "per-minute", "--stored-sender", "-o", "json"),
    )
    trusting = run("device", "set", "scanner-4", "--trust-network", "10.2.0.0/16", "--unset", "from")
    second = found("device", "new-secret", "scanner-4", "--json")
    states = [run("device", verb, "scanner-4").exit_code for verb in ("disable", "enable")]
    removed = [run("device", verb, "scanner-4") for verb in ("remove", "delete")]

    names = ("name", "senders", "networks", "messages_per_minute", "max_message_bytes", "sends_as_stored_sender")
    assert [changed[name] for name in names] == ["scanner-4", ["*@example.com"], [], None, 20 * 2**20, True]
    assert trusting.exit_code == 0
    assert (second["id"], second["name"]) == (first["id"], "scanner-4")
    assert second["secret"] != first["secret"]
    assert states == [0, 0]
    assert [each.exit_code for each in removed] == [0, 4]
    assert removed[1].stderr == "Error: There is no such device. `mailsettings device list` prints all.\n"


def test_a_device_without_secret_is_reported(data: Path) -> None:
    run("device", "add", "lab", "--trust-network", "10.9.0.0/24", "--stored-sender")
    ran = run("device", "set", "lab", "--network", "10.9.0.0/24")

    assert "It cannot log in yet. Run: mailsettings device new-secret lab" in ran.stderr


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("device", "add", "x", "--network", "10.0.0.0/7"), 4, "networks must not be wider than /8"),
        (("device", "add", "x", "--from", "scan"), 4, "senders must be addresses like"),
        (("device", "add", "x", "--max-size", "3X"), 2, "a size like 500k or 20M"),
        (("device", "add", "x", "--network", "10.1.0.0/16", "--trust-network", "10.2.0.0/16"), 2, "Give either"),
        (("device", "set", "x"), 2, "at least one setting"),
        (("messages", "--since", "yesterday"), 2, "how long ago"),
    ],
    ids=str,
)
def test_a_wrong_option_is_explained(data: Path, options: tuple[str, ...], code: int, sentence: str) -> None:
    ran = run(*options)

    assert (ran.exit_code, ran.stdout) == (code, "")
    assert sentence in ran.stderr


async def fill(data: Path) -> None:
    """Log a message of now and a failed message of three days ago."""
    store = LocalStore(f"sqlite:///{data / 'mailsettings.db'}")
    now = datetime.now(UTC)
    recipient = MessageRecipient("a@example.com", accepted=False)
    failed = message(
        at=now - timedelta(days=3),
        device="lab",
        sender="",
        recipients=(recipient,),
        result=MessageResult.REFUSED,
        code=550,
        enhanced_code="5.1.1",
        words="no such user",
    )
    async with store.writing_unqueued() as work:
        await work.messages.add([logged(failed), logged(message(0, "a@example.com", at=now))])
    await store.close()


def test_messages_are_printed_with_filters(data: Path) -> None:
    asyncio.run(fill(data))
    table = run("messages").stdout.splitlines()
    devices = [
        [each["device"] for each in found("messages", *options, "--json")]
        for options in [
            (),
            ("--failed",),
            ("--since", "2h"),
            ("--until", "1d"),
            ("--device", "lab"),
            ("--to", "A@example.com", "--limit", "1"),
            ("--sender", "nobody@example.com"),
        ]
    ]

    assert table[0].startswith("AT ")
    assert re.search(
        r"lab +10.1.2.3 +<> +a@example.com \(refused\) +20000 +refused +550 5.1.1 +no such user +45", table[2]
    )
    assert devices == [["scanner-3", "lab"], ["lab"], ["scanner-3"], ["lab"], ["lab"], ["scanner-3"], []]
