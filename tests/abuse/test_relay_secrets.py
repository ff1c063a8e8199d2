"""The life of a relay in its own process, and a search for secrets and content in all that it said and kept."""

import asyncio
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from mailsettings.bootstrap.backend import create_backend
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.values import Secret
from mailsettings.settings import Settings
from mailsettings.use_cases.devices import testing

from support.canary import Canary
from support.processes import END_SECONDS
from support.relay import CLIENT_CONTEXT, plain
from support.relay_process import DEVICE, SENDER, RelayProcess, prepare, relay_environment, relay_started
from support.smtp_server import AUTHORITY, AUTHORITY_PEM, USERNAME, Behaviour, real_server
from support.timeouts import GUARD_SECONDS
from support.token_authority import Authority
from support.waiting import eventually


@dataclass
class Secrets:
    """What must appear nowhere; `device` is made by the service."""

    oauth2: Canary = field(default_factory=Canary)
    token: Canary = field(default_factory=lambda: Canary(plain=True))
    one_time: Canary = field(default_factory=lambda: Canary(plain=True))
    device: Canary = field(default_factory=Canary)
    subject: Canary = field(default_factory=lambda: Canary(plain=True))
    content: Canary = field(default_factory=lambda: Canary(plain=True))

    @property
    def all(self) -> Sequence[Canary]:
        return list(vars(self).values())


def environment(folder: Path, authority: Authority) -> dict[str, str]:
    """Not for development, so that the log is JSON; so it needs a certificate of its own."""
    files = {name: folder / f"{name.lower()}.pem" for name in ("CERTIFICATE", "KEY")}
    issued = AUTHORITY.issue_cert("127.0.0.1")
    files["CERTIFICATE"].write_bytes(issued.cert_chain_pems[0].bytes())
    files["KEY"].write_bytes(issued.private_key_pem.bytes())
    trusted = folder / "ca.pem"
    trusted.write_text(AUTHORITY_PEM)
    return relay_environment(
        folder / "data",
        DEV="false",
        LOG_LEVEL="debug",
        OAUTH2_AUTHORITY=authority.url,
        SMTP_ALLOWED_NETWORKS="127.0.0.0/8",
        SMTP_CA_FILE=str(trusted),
        **{f"RELAY_TLS_{name}": str(file) for name, file in files.items()},
    )


async def is_ready(relay: RelayProcess) -> bool:
    try:
        return (await asyncio.to_thread(httpx.get, f"{relay.status}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def submit(relay: RelayProcess, secrets: Secrets) -> None:
    """Log in with the secret in the place of the name, with a wrong secret, and then right; send a mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "post@example.org", secrets.subject.secret
    message.set_content(secrets.content.secret)
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=GUARD_SECONDS) as client:
        client.starttls(context=CLIENT_CONTEXT)
        client.ehlo()
        for name, secret in ((secrets.device.secret, DEVICE), (DEVICE, f"{secrets.device}x")):
            assert client.docmd("AUTH PLAIN", plain(name, secret))[0] == 535  # RFC 4954 6
        client.login(DEVICE, secrets.device.secret)
        client.send_message(message)


async def outcome_of_device_test(folder: Path) -> str:
    """Test the device, and return all that the API has of devices and messages."""
    backend = create_backend(Settings(data_dir=folder, dev=True, smtp_ca_file=folder.parent / "ca.pem"))
    try:
        use_cases = backend.use_cases
        report = await use_cases.device_tests(OPERATOR, DEVICE, "me@example.org")
        shown = [await use_cases.devices.page(OPERATOR), await use_cases.messages.page(OPERATOR)]
    finally:
        await backend.close()
    assert report.is_delivered, report
    return repr([report, shown])


async def test_no_secret_and_no_content_stays_anywhere(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay is killed, so that all that a crash leaves behind is searched too."""
    secrets = Secrets()
    authority.token = secrets.token.secret
    monkeypatch.setattr(testing, "new_secret", lambda: secrets.one_time.secret)
    chosen = environment(tmp_path, authority)
    login = OAuth2ClientCredentials(USERNAME, "application", "tenant.example", Secret(secrets.oauth2.secret))
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, secrets.token.secret)) as mail_server:
        chosen["MAILSETTINGS_SMTP_ALLOWED_PORTS"] = str(mail_server.port)
        stored = mail_server.settings(ConnectionSecurity.STARTTLS, login)
        secrets.device = Canary(made=await prepare(chosen, stored))
        with relay_started(chosen) as relay:
            await eventually(lambda: is_ready(relay))
            await asyncio.to_thread(submit, relay, secrets)
            shown = await outcome_of_device_test(relay.data_dir)
            metrics = (await asyncio.to_thread(httpx.get, f"{relay.status}/metrics")).text
            process = Path(f"/proc/{relay.process.pid}")
            command_line, rights = (process / "cmdline").read_bytes(), (process / "environ").stat().st_mode
            relay.process.kill()
            await asyncio.to_thread(relay.process.wait, END_SECONDS)

    messages, written = b"".join(mail_server.messages), relay.output.read_text()
    assert [canary.found_in(messages) != [] for canary in secrets.all] == [False] * 4 + [True] * 2
    assert f"Message of device {DEVICE} through mail server " in written
    assert rights & 0o077 == 0
    for canary in secrets.all:
        canary.assert_nowhere(tmp_path, command_line, shown, metrics)
