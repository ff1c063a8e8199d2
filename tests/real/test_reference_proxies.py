"""The reference configurations of nginx and HAProxy, in the real programs, in front of the service with TLS."""

import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trustme

from support.compose import ROOT
from support.external_programs import program
from support.processes import clean_environment, free_port, started
from support.supported_versions import supported_versions
from support.timeouts import GUARD_SECONDS

NAME = "mailsettings.example.org"
PRETENDED = "203.0.113.9"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;
  include {folder}/site.conf;
}}
"""
"""The rest of the configuration, with compression on as in some distributions."""


def configured(kind: str, folder: Path, port: int, upstream: str) -> list[str]:
    """Write the reference configuration with the addresses of the test; return the command."""
    certificate = trustme.CA()
    pair = certificate.issue_cert(NAME)
    certificate.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "pair.pem").write_bytes(pair.private_key_and_cert_chain_pem.bytes())
    name = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]
    text = (ROOT / "deploy" / "proxies" / name).read_text()
    text = re.sub(r"/etc/(?:nginx|haproxy)/mailsettings\.\w+", str(folder / "pair.pem"), text)
    text = re.sub(r"replica\d:8080", upstream, text)
    if kind == "haproxy":
        (folder / name).write_text(text.replace("bind :443", f"bind 127.0.0.1:{port}"))
        return [program(kind), "-f", str(folder / name)]
    (folder / "site.conf").write_text(text.replace("listen 443", f"listen 127.0.0.1:{port}"))
    (folder / name).write_text(NGINX.format(folder=folder))
    return [program(kind), "-p", str(folder), "-e", "stderr", "-c", str(folder / name)]


class Named(httpx.HTTPTransport):
    """Finds the name of the site on this machine."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


@contextmanager
def proxying(kind: str, folder: Path, upstream: str) -> Iterator[httpx.Client]:
    port = free_port()
    command = configured(kind, folder, port, upstream)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    trust = ssl.create_default_context(cafile=folder / "ca.pem")
    headers = {"Host": NAME, "X-Forwarded-For": PRETENDED}
    try:
        with httpx.Client(
            transport=Named(verify=trust), base_url=f"https://{NAME}:{port}", headers=headers
        ) as client:
            wait_for(client, 200, folder / "log")
            yield client
    finally:
        process.kill()
        process.wait(GUARD_SECONDS)


def wait_for(client: httpx.Client, status: int, log: Path) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while True:
        with suppress(httpx.TransportError):
            if client.get("/health/ready").status_code == status:
                return
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "option"),
    [("nginx", "-v"), ("haproxy", "-v"), ("caddy", "version"), ("prometheus", "--version")],
)
def test_this_program_is_of_a_supported_version(name: str, option: str) -> None:
    ran = subprocess.run([program(name), option], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", ran.stdout + ran.stderr)
    assert found is not None
    oldest = supported_versions()[name].oldest

    assert tuple(map(int, found.groups())) >= tuple(map(int, oldest.split(".")))


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_the_service_works_behind_the_reference_configuration(kind: str, tmp_path: Path) -> None:
    program(kind)
    environment = clean_environment(
        tmp_path / "data", TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS=NAME, PUBLIC_URL=f"https://{NAME}"
    )
    with (
        started(environment) as server,
        proxying(kind, tmp_path, server.url.removeprefix("http://")) as client,
    ):
        form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
        token = client.post("/cxrestapi/auth/identity/connect/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"host": "mail.example.org", "port": 25, "fromAddress": "a@example.org"}
        made = client.post(SETTINGS, json=body)
        path = made.headers["Location"].removeprefix(f"https://{NAME}")
        read = client.get(path, headers={"Accept-Encoding": "gzip"})
        changed = client.put(path, json={**body, "port": 26}, headers={"If-Match": read.headers["ETag"]})
        audit = client.get("/audit")
        server.tell()
        assert server.status() == 0
        away = client.get("/health/ready").status_code

    assert path.startswith(SETTINGS)
    assert read.headers["Strict-Transport-Security"]
    assert not read.headers["ETag"].startswith("W/")
    assert changed.is_success, changed.text
    assert PRETENDED not in audit.text
    assert '"127.0.0.1"' in audit.text
    assert away in {502, 503}
