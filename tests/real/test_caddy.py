"""The proxy of the profile `scale`, the real one, in front of real replicas."""

import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.compose import ROOT
from support.external_programs import program
from support.processes import clean_environment, free_port, serving
from support.timeouts import GUARD_SECONDS

CADDYFILE = ROOT / "deploy" / "Caddyfile"
NAME = "mailsettings.localhost"
PRETENDED = "203.0.113.9"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
READY_SECONDS = GUARD_SECONDS

pytestmark = pytest.mark.needs("caddy")


@contextmanager
def proxying(folder: Path, replicas: Sequence[str]) -> Iterator[httpx.Client]:
    """A client of the proxy, which keeps what it makes in *folder*."""
    port = free_port()
    text = CADDYFILE.read_text().replace(":8443", f":{port}")
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"replica{number}:8080", replica.removeprefix("http://"))
    (folder / "Caddyfile").write_text(text)
    authority = folder / "caddy/pki/authorities/local/root.crt"
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [program("caddy"), "run", "--config", str(folder / "Caddyfile")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: authority.exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        with _client(authority, port) as client:
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)


@contextmanager
def _client(authority: Path, port: int) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=authority)
    base_url = f"https://{NAME}:{port}"
    with httpx.Client(transport=Named(verify=trust), base_url=base_url, timeout=60) as client:
        eventually(lambda: _is_ready(client))
        yield client


class Named(httpx.HTTPTransport):
    """Finds the name of the site on this machine, whatever the resolver says."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + READY_SECONDS
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def test_the_configuration_is_valid_and_formatted() -> None:
    ran = subprocess.run([program("caddy"), "fmt", "--diff", str(CADDYFILE)], capture_output=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, b"")


@dataclass
class Whole:
    """The proxy's client, and what stops each replica behind it."""

    client: httpx.Client
    replicas: list[ExitStack]


@pytest.fixture
def whole(postgres_url: str, tmp_path: Path) -> Iterator[Whole]:
    given = {"DATABASE_URL": postgres_url, "TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_HOSTS": NAME}
    environment = clean_environment(tmp_path / "data", **given)
    with ExitStack() as running:
        replicas = [running.enter_context(ExitStack()) for _ in range(3)]
        urls = [replica.enter_context(serving(environment))[0] for replica in replicas]
        yield Whole(running.enter_context(proxying(tmp_path, urls)), replicas)


def bearer(client: httpx.Client, **headers: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    token = client.post("/cxrestapi/auth/identity/connect/token", data=form, headers=headers).json()[
        "access_token"
    ]
    return {"Authorization": f"Bearer {token}"}


def test_replicas_go_and_no_caller_sees_it_before_the_last_has_gone(whole: Whole) -> None:
    headers = bearer(whole.client)
    seen = []
    for replica in whole.replicas:
        seen += [whole.client.get(SETTINGS, headers=headers).status_code for _ in range(20)]
        replica.close()
    eventually(lambda: whole.client.get("/health/ready").status_code == 503)
    away = whole.client.get(SETTINGS, headers=headers)

    assert seen == [200] * 60
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")


def test_a_caller_is_told_addresses_of_the_proxy_and_cannot_pretend_to_be_elsewhere(whole: Whole) -> None:
    body = {"host": "mail.example.org", "port": 25, "fromAddress": "a@example.org"}
    headers = bearer(whole.client, **{"X-Forwarded-For": PRETENDED})
    made = whole.client.post(SETTINGS, json=body, headers=headers)
    told = whole.client.get("/audit", headers=headers)

    assert made.headers["Location"].startswith(f"https://{NAME}:")
    assert told.status_code == 200
    assert PRETENDED not in told.text
    assert '"127.0.0.1"' in told.text
