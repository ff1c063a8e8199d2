"""HEAD from health checks and tools, and entity tags behind proxies that compress; with the real programs."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mailsettings.dialects.oracle_analytics.examples import USERNAME_PASSWORD

from support.compose import ROOT
from support.databases import LocalStore
from support.external_programs import program
from support.fakes import ScriptedProber
from support.live_service import live
from support.processes import free_port
from support.service import MAIL_SERVER, build_service

PATIENCE_SECONDS = 120
ADMIN = {"Authorization": "Bearer admin"}
GUIDE = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture
def origin(local_store: LocalStore) -> Iterator[str]:
    with live(build_service(local_store, ScriptedProber())) as served:
        yield served


@pytest.mark.needs("curl")
def test_curl_shows_the_headers(origin: str) -> None:
    ran = subprocess.run(
        [program("curl"), "-sSfI", f"{origin}/health/live"], capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("HTTP/1.1 200")


@pytest.mark.needs("wget")
@pytest.mark.parametrize("path", ["/health/ready", "/docs", "/openapi.json"])
def test_wget_finds_what_is_there(origin: str, path: str) -> None:
    command = [program("wget"), "--spider", "--tries=1", "-nv", origin + path]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Proxy:
    """A proxy that compresses JSON when `on` is in its configuration, and does not when `off` is.

    `off` is in the operator's guide, or is the absence of anything.
    """

    command: Callable[[Path], Sequence[str]]
    configuration: str
    on: str
    off: str
    weakens: bool = False


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{upstream}; {line} }} }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 30s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:{port}
  default_backend app
backend app
  {line}
  option httpchk HEAD /health/ready
  http-check send hdr Host 127.0.0.1
  server one {upstream} check inter 100ms
"""
APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/pid
ErrorLog {folder}/error
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule setenvif_module /usr/lib/apache2/modules/mod_setenvif.so
SetOutputFilter DEFLATE
{line}
ProxyPass / http://{upstream}/
"""
CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  {line}
  reverse_proxy {upstream}
}}
"""
PROXIES = {
    "nginx": Proxy(
        lambda file: ["-p", str(file.parent), "-e", "stderr", "-c", str(file)],
        NGINX,
        "",
        "gzip off;",
        weakens=True,
    ),
    "haproxy": Proxy(
        lambda file: ["-f", str(file)],
        HAPROXY,
        "compression algo gzip\n  compression type application/json",
        "",
        weakens=True,
    ),
    "apache2": Proxy(
        lambda file: ["-X", "-f", str(file)],
        APACHE,
        "",
        'SetEnvIfNoCase Request_URI "^/+(api|cxrestapi)/" no-gzip',
    ),
    "caddy": Proxy(
        lambda file: ["run", "--adapter", "caddyfile", "--config", str(file)],
        CADDY,
        "encode {\n    gzip\n    minimum_length 1\n  }",
        "",
    ),
}
PROXY = pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in PROXIES])


@contextmanager
def proxying(name: str, line: str, folder: Path, origin: str) -> Iterator[httpx.Client]:
    """A client of the proxy, once the proxy has found the service to be there."""
    proxy, port = PROXIES[name], free_port()
    file = folder / "configuration"
    upstream = origin.removeprefix("http://")
    file.write_text(proxy.configuration.format(folder=folder, port=port, upstream=upstream, line=line))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(name), *proxy.command(file)], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=60) as client:
            wait_for(lambda: process.poll() is not None or _is_there(client))
            assert process.poll() is None, (folder / "log").read_text()
            yield client
    finally:
        process.kill()
        process.wait(30)


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def _is_there(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.needs("haproxy")
def test_the_health_checks_of_haproxy_find_the_service(origin: str, tmp_path: Path) -> None:
    def checks_that_passed() -> int:
        text = client.get(f"{origin}/metrics").text
        wanted = ("mailsettings_requests_total{", 'operation="/health/ready"', 'method="HEAD"', 'status="200"')
        counted = [line for line in text.splitlines() if all(part in line for part in wanted)]
        return int(float(counted[0].rpartition(" ")[2])) if counted else 0

    with proxying("haproxy", "", tmp_path, origin) as client:
        wait_for(lambda: checks_that_passed() >= 5)  # a server counts as down after three failures
        through = client.get(MAIL_SERVER)

    assert through.status_code == 404


@PROXY
def test_a_change_behind_a_proxy_that_compresses(name: str, origin: str, tmp_path: Path) -> None:
    proxy = PROXIES[name]
    with proxying(name, proxy.on, tmp_path, origin) as client:
        client.put(MAIL_SERVER, json=USERNAME_PASSWORD).raise_for_status()
        read = client.get(MAIL_SERVER)
        tag = read.headers["ETag"]
        known = client.get(MAIL_SERVER, headers={"If-None-Match": tag})
        changed = client.put(MAIL_SERVER, json=USERNAME_PASSWORD, headers={"If-Match": tag})
        stripped = client.put(MAIL_SERVER, json=USERNAME_PASSWORD, headers={"If-Match": tag.removeprefix("W/")})

    assert (read.headers["Content-Encoding"], tag.startswith("W/")) == ("gzip", proxy.weakens)
    assert known.status_code == 304
    assert changed.status_code == (412 if proxy.weakens else 200)
    assert ("proxy" in changed.text) is proxy.weakens
    assert stripped.status_code == (200 if proxy.weakens else 412)  # where it was changed before, it is stale


@PROXY
def test_a_change_behind_a_proxy_set_as_the_guide_says(name: str, origin: str, tmp_path: Path) -> None:
    line = PROXIES[name].off
    with proxying(name, line, tmp_path, origin) as client:
        client.put(MAIL_SERVER, json=USERNAME_PASSWORD).raise_for_status()
        read = client.get(MAIL_SERVER)
        changed = client.put(MAIL_SERVER, json=USERNAME_PASSWORD, headers={"If-Match": read.headers["ETag"]})

    assert line in GUIDE
    assert "Content-Encoding" not in read.headers
    assert changed.status_code == 200
