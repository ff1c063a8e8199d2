"""`mailsettings relay` as a process: what it says when it cannot start, what it does, and how it ends."""

import asyncio
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from mailsettings.domain.listening import RunningRelay
from mailsettings.domain.mail_server import PasswordAuthentication
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support import commands
from support.canary import Canary
from support.processes import END_SECONDS, started
from support.relay_process import DEVICE, SENDER, RelayProcess, prepare, relay_environment, relay_started
from support.smtp_server import USERNAME, Behaviour, real_server
from support.timeouts import GUARD_SECONDS
from support.waiting import eventually

HEAVY = {
    *("alembic", "argon2", "fastapi", "jwt", "msal", "platformdirs", "pydantic", "pydantic_settings"),
    *("starlette", "uvicorn", "yaml"),
}


def mail(content: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "post@example.org", "Scan"
    message.set_content(f"{content}\n")
    return message


def submit(relay: RelayProcess, secret: str, content: str) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=GUARD_SECONDS) as client:
        client.starttls(context=relay.trust)
        client.login(DEVICE, secret)
        client.send_message(mail(content))


async def is_ready(status: str) -> bool:
    try:
        return (await asyncio.to_thread(httpx.get, f"{status}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def running_relays(environment: dict[str, str]) -> list[RunningRelay]:
    file = Path(environment["MAILSETTINGS_DATA_DIR"]) / "mailsettings.db"
    store = SQLStore(f"sqlite:///{file}", Sealer(bytes(32)))
    try:
        async with store.reading() as view:
            return list(await view.relays.running())
    finally:
        await store.close()


async def test_a_relay_delivers_is_known_and_ends_well(tmp_path: Path) -> None:
    environment = relay_environment(tmp_path / "data", GRACE_TIMEOUT_SECONDS="5", LOG_LEVEL="debug")
    environment["MAILSETTINGS_SMTP_ALLOW_CLEARTEXT_LOGIN"] = "true"
    password, content = Canary(), Canary(plain=True)
    async with real_server(Behaviour(password=password.secret)) as mail_server:
        login = PasswordAuthentication(USERNAME, Secret(password.secret))
        secret = await prepare(environment, mail_server.settings(login=login))
        with relay_started(environment) as relay:
            await eventually(lambda: is_ready(relay.status))
            await asyncio.to_thread(submit, relay, secret, content.secret)
            tested = await asyncio.to_thread(
                commands.run, environment, "device", "test", DEVICE, "--to", "me@example.org", "-o", "json"
            )
            metrics = (await asyncio.to_thread(httpx.get, f"{relay.status}/metrics")).text
            known = await running_relays(environment)
            with socket.create_connection(("127.0.0.1", relay.port), GUARD_SECONDS) as idle:
                greeting = await asyncio.to_thread(idle.recv, 1000)
                relay.process.terminate()
                farewell = await asyncio.to_thread(idle.recv, 1000)
            status = await asyncio.to_thread(relay.process.wait, END_SECONDS)
            written = relay.output.read_text()
        left = await running_relays(environment)

    report = json.loads(tested.stdout)
    assert mail_server.envelopes == [(SENDER, ["post@example.org"]), (SENDER, ["me@example.org"])]
    assert (tested.returncode, report["delivered"], report["message"]["result"]) == (0, True, "delivered")
    assert [stage["stage"] for stage in report["submission"]["stages"]][-1] == "content"
    assert 'mailsettings_relay_messages_total{result="delivered"} 2.0' in metrics
    assert 'mailsettings_relay_server_logins_total{accepted="yes"} 1.0' in metrics
    assert [list(map(str, each.listeners)) for each in known] == [[environment["MAILSETTINGS_RELAY_LISTEN"]]]
    assert greeting.startswith(b"220 ")
    assert farewell.startswith(b"421 4.3.2 ")
    assert (status, left) == (0, [])
    assert f"Message of device {DEVICE} through mail server " in written
    assert "post@example.org" not in written
    assert content.secret.encode() in mail_server.messages[0]
    for canary in (Canary(made=secret), password, content):
        canary.assert_nowhere(tmp_path, metrics, tested.stdout + tested.stderr)


def no_certificate(environment: dict[str, str]) -> None:
    del environment["MAILSETTINGS_DEV"]


def no_database(environment: dict[str, str]) -> None:
    (Path(environment["MAILSETTINGS_DATA_DIR"]) / "mailsettings.db").unlink()


def bad_certificate(environment: dict[str, str]) -> None:
    for name in ("CERTIFICATE", "KEY"):
        environment[f"MAILSETTINGS_RELAY_TLS_{name}"] = __file__


CANNOT_START: dict[Callable[[dict[str, str]], None], tuple[int, str]] = {
    no_certificate: (2, "The relay has no certificate for its listeners. Set MAILSETTINGS_RELAY_TLS_CERTIFICATE"),
    no_database: (3, "There is no mail-settings database at"),
    bad_certificate: (1, "must hold a certificate and its private key in PEM form"),
}


@pytest.mark.parametrize("spoil", CANNOT_START, ids=lambda spoil: spoil.__name__)
def test_a_relay_that_cannot_start_says_why(tmp_path: Path, spoil: Callable[[dict[str, str]], None]) -> None:
    environment = relay_environment(tmp_path / "data")
    commands.run(environment, "migrate")
    spoil(environment)
    ended = commands.run(environment, "relay")
    status, words = CANNOT_START[spoil]

    assert ended.returncode == status
    assert ended.stderr.count("\n") == 1
    assert words in ended.stderr


def test_the_relays_process_has_no_library_of_the_apis() -> None:
    program = "import mailsettings.bootstrap.relay_process, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert HEAVY & {name.partition(".")[0] for name in loaded.stdout.split()} == set()


async def test_serve_restarts_its_relay_and_ends_it(tmp_path: Path) -> None:
    environment = relay_environment(tmp_path / "data", GRACE_TIMEOUT_SECONDS="5")
    status = f"http://{environment['MAILSETTINGS_RELAY_STATUS_LISTEN']}"
    with started(environment, "--dev", "--relay") as server:
        (first,) = await eventually(lambda: running_relays(environment))
        os.kill(int(first.holder.split(":")[1]), signal.SIGKILL)
        await eventually(
            lambda: running_relays(environment), lambda found: any(each.holder != first.holder for each in found)
        )
        await eventually(lambda: is_ready(status))
        server.tell()

        assert await asyncio.to_thread(server.status) == 0
    assert not await is_ready(status)


async def test_development_continues_without_a_relay_on_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = relay_environment(tmp_path / "data", RELAY_LISTEN=f"starttls://127.0.0.1:{port}")
        with started(environment, "--dev", "--relay") as server:
            said = await eventually(
                lambda: asyncio.to_thread(server.output.read_text), lambda text: "continues without it" in text
            )

            assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in said
            assert await is_ready(server.url)
