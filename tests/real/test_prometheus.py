"""The real Prometheus scrapes the service as documented, and two alarms fire and resolve, with shortened times."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import commands
from support.compose import ROOT
from support.external_programs import program
from support.postgres import Postgres
from support.processes import clean_environment, free_port, make_token, serving, started
from support.tcp_proxy import Proxy, proxied
from support.timeouts import GUARD_SECONDS

PAGE = (ROOT / "docs" / "metrics.md").read_text()
SECONDS = {"1h": "20s", "15m": "15s", "10m": "10s", "5m": "6s", "2m": "2s", "1m": "1s"}
"""The times of the alarms, shortened."""
MAIL_SERVER = {"host": "127.0.0.1", "port": 9, "security": "none", "sender": {"address": "a@example.org"}}

pytestmark = pytest.mark.needs("prometheus")


class Prometheus:
    """What its API says."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def firing(self) -> dict[str, dict[str, str]]:
        """The labels of each alarm that fires."""
        alerts = self._data("/alerts")["alerts"]
        return {each["labels"]["alertname"]: each["labels"] for each in alerts if each["state"] == "firing"}

    def value(self, expression: str) -> float | None:
        """The value of an expression with one series; None without a series."""
        found = self._data("/query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def _data(self, path: str, **parameters: str) -> Any:
        return self._http.get(path, params=parameters).raise_for_status().json()["data"]


@contextmanager
def running_prometheus(folder: Path, scrape: str) -> Iterator[Prometheus]:
    """Prometheus with the scrape configuration *scrape* and the alarms of the project."""
    rules = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text()
    shortened = re.sub(r"(?<=for: )\w+|(?<=\[)\w+(?=\])", lambda match: SECONDS[match[0]], rules)
    (folder / "rules.yaml").write_text(shortened)
    intervals = "global: {scrape_interval: 500ms, evaluation_interval: 500ms}"
    (folder / "prometheus.yaml").write_text(f"{intervals}\nrule_files: [rules.yaml]\n{scrape}\n")
    address = f"127.0.0.1:{free_port()}"
    options = {"config.file": folder / "prometheus.yaml", "storage.tsdb.path": folder / "tsdb"}
    command = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1") as http:
            found = Prometheus(http)
            eventually(lambda: found.value("vector(1)") == 1)
            yield found
    finally:
        process.terminate()
        process.wait(GUARD_SECONDS)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while True:
        with suppress(httpx.TransportError, httpx.HTTPStatusError):
            if holds():
                return
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


def documented_scrape(folder: Path, url: str, secret: str) -> str:
    """The scrape configuration of the page, for the service at *url*."""
    (text,) = [part for part in PAGE.split("\n\n") if part.startswith("    scrape_configs:")]
    file = folder / "client-secret"
    file.write_text(secret)
    for stated, real in {
        "/etc/prometheus/mail-settings-secret": str(file),
        "127.0.0.1:8080": url.removeprefix("http://"),
    }.items():
        assert stated in text
        text = text.replace(stated, real)
    return re.sub(r"(?m)^    ", "", text)


def test_the_documented_scrape_sees_the_first_failed_test(tmp_path: Path) -> None:
    environment = clean_environment(
        tmp_path / "data", ALLOWED_HOSTS="mail.example.org", SMTP_ALLOWED_NETWORKS="127.0.0.0/8"
    ) | {"MAILSETTINGS_SMTP_ALLOWED_PORTS": "9"}
    (create,) = re.findall(r"^    mailsettings (client create .+)$", PAGE, flags=re.MULTILINE)
    with serving(environment) as (url, _):
        secret = commands.run(environment, *create.split()).stdout.split()[-1]
        bearer = {"Authorization": f"Bearer {make_token(environment)}", "Host": "mail.example.org"}
        with (
            httpx.Client(base_url=url, headers=bearer, timeout=GUARD_SECONDS) as http,
            running_prometheus(tmp_path, documented_scrape(tmp_path, url, secret)) as prometheus,
        ):
            made = http.post("/v1/mail-servers", json=MAIL_SERVER).raise_for_status().json()
            eventually(lambda: prometheus.value('sum(mailsettings_connection_tests_total{source="stored"})') == 0)
            before = prometheus.firing()
            http.post(f"/v1/mail-servers/{made['id']}/test", json={}).raise_for_status()
            eventually(lambda: "MailSettingsTestFailed" in prometheus.firing())
            fired = prometheus.firing()["MailSettingsTestFailed"]
            eventually(lambda: "MailSettingsTestFailed" not in prometheus.firing())

    assert "MailSettingsTestFailed" not in before
    assert fired["stage"] == "connect"


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with proxied(postgres.port) as proxy:
        yield proxy


def test_an_outage_of_the_database_and_of_the_service_are_told_apart(
    tmp_path: Path, postgres: Postgres, postgres_url: str, proxy: Proxy
) -> None:
    target = f"127.0.0.1:{free_port()}"
    database = postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    environment = clean_environment(tmp_path / "data", DATABASE_URL=database, METRICS_LISTEN=target)
    scrape = f"scrape_configs: [{{job_name: mail-settings, static_configs: [{{targets: ['{target}']}}]}}]"
    with running_prometheus(tmp_path, scrape) as prometheus:
        with started(environment) as server:

            def probed_until(holds: Callable[[], bool]) -> None:
                """Ask for readiness, as a balancer does, until the condition holds."""
                eventually(lambda: httpx.get(f"{server.url}/health/ready").status_code > 0 and holds())

            eventually(lambda: prometheus.value("up") == 1)
            eventually(lambda: not prometheus.firing())
            proxy.refuse()
            probed_until(lambda: "MailSettingsErrors" in prometheus.firing())
            in_outage = set(prometheus.firing()), prometheus.value("min_over_time(up[5s])")
            proxy.allow()
            probed_until(lambda: not prometheus.firing())
        eventually(lambda: "MailSettingsDown" in prometheus.firing())
        with started(environment):
            eventually(lambda: "MailSettingsDown" not in prometheus.firing())

    assert in_outage == ({"MailSettingsErrors"}, 1.0)
