"""Long access tokens behind proxies: those that the page about external identity names, set as it says."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.compose import ROOT
from support.external_programs import program
from support.openid_issuer import AUDIENCE, OpenIDIssuer
from support.processes import clean_environment, free_port, serving
from support.service import SMTP_SETTINGS
from support.timeouts import GUARD_SECONDS

PAGE = (ROOT / "docs" / "external-identity.md").read_text()
SETTING = dict(re.findall(r"(nginx|Apache|HAProxy|Caddy) `([^`]+)`", PAGE))
LONGEST = 16 * 1024

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {setting};
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{upstream}; }} }}
}}
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
{setting}
ProxyPass / http://{upstream}/
"""
HAPROXY = """
global
  {setting}
defaults
  mode http
  timeout connect 30s
  timeout client 30s
  timeout server 30s
listen f
  bind 127.0.0.1:{port}
  server one {upstream}
"""
CADDY = """
{{
  admin off
  auto_https off
  servers {{
    {setting}
  }}
}}
http://127.0.0.1:{port} {{
  reverse_proxy {upstream}
}}
"""
Command = Callable[[Path], Sequence[str]]
PROXIES: dict[str, tuple[str, str, Command]] = {
    "nginx": ("nginx", NGINX, lambda file: ["-p", str(file.parent), "-e", "stderr", "-c", str(file)]),
    "apache2": ("Apache", APACHE, lambda file: ["-X", "-f", str(file)]),
    "haproxy": ("HAProxy", HAPROXY, lambda file: ["-f", str(file)]),
    "caddy": ("Caddy", CADDY, lambda file: ["run", "--adapter", "caddyfile", "--config", str(file)]),
}


@contextmanager
def proxying(name: str, folder: Path, origin: str) -> Iterator[str]:
    """The address of the proxy in front of *origin*, once it answers."""
    product, configuration, command = PROXIES[name]
    file, port = folder / "configuration", free_port()
    upstream = origin.removeprefix("http://")
    file.write_text(configuration.format(folder=folder, port=port, upstream=upstream, setting=SETTING[product]))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(name), *command(file)], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/live", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(GUARD_SECONDS)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the proxy does not answer")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in PROXIES])
def test_a_long_token_passes_a_proxy_set_as_documented(name: str, issuer: OpenIDIssuer, tmp_path: Path) -> None:
    environment = clean_environment(
        tmp_path / "data",
        OIDC_ISSUER=issuer.url,
        OIDC_AUDIENCE=AUDIENCE,
        OIDC_PERMISSIONS="mail-admin=manage-system-settings",
        OIDC_MAX_TOKEN_BYTES=str(LONGEST),
    )
    token = issuer.token(filler="x" * ((LONGEST - len(issuer.token(filler=""))) * 3 // 4 - 4))
    with serving(environment) as (origin, _), proxying(name, tmp_path, origin) as url:
        answer = httpx.get(url + SMTP_SETTINGS, headers={"Authorization": f"Bearer {token}"})

    assert len(token) > LONGEST - 16
    assert answer.status_code == 200
