"""The table of the metrics page equals the metrics in the code and in Prometheus."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailsettings.bootstrap.backend import Backend
from mailsettings.domain.access import OPERATOR
from mailsettings.telemetry.catalogue import ALL_METRICS, PREFIX, RELAY_METRICS
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.telemetry.relay import RelayMetrics

from support import commands
from support.request_bodies import checkmarx
from support.service import SMTP_SETTINGS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
OF_SERVICE = PAGE.partition("<!-- metrics of the relay -->")[0]


def test_the_table_is_that_of_the_code() -> None:
    program = "import metrics_page as made; print(made.with_table(made.PAGE.read_text()), end='')"
    written = subprocess.run(
        [commands.python(), "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )

    assert written.stdout == PAGE, "run: .venv/bin/python scripts/metrics_page.py"


async def test_the_table_has_exactly_the_metrics_that_prometheus_gets() -> None:
    text = (await PrometheusMetrics().exposition([])).content.decode()
    families = [one for one in text_string_to_metric_families(text) if not one.name.startswith("process_")]
    told = {(family.name, family.type, family.documentation) for family in families}

    assert told == {(f"{PREFIX}_{one.name}".removesuffix("_total"), one.kind, one.meaning) for one in ALL_METRICS}


async def test_the_relays_table_has_exactly_the_metrics_of_the_relay() -> None:
    text = (await RelayMetrics().exposition()).decode()
    told = {(family.name, family.type, family.documentation) for family in text_string_to_metric_families(text)}

    assert told == {
        (f"{PREFIX}_{one.name}".removesuffix("_total"), one.kind, one.meaning) for one in RELAY_METRICS
    }


async def test_the_table_has_all_metrics_of_a_whole_service(backend: Backend, http: httpx.AsyncClient) -> None:
    await http.post(SMTP_SETTINGS, json=checkmarx("some password"))
    text = (await backend.use_cases.metrics(OPERATOR)).content.decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith(f"# TYPE {PREFIX}_")}

    assert names == set(re.findall(rf"^\| `({PREFIX}_\w+)` \|", OF_SERVICE, re.MULTILINE))
    assert f'{PREFIX}_monitored_servers{{health="unchecked"}} 1.0' in text
    assert f"{PREFIX}_monitoring_active 0.0" in text
    assert (
        f'{PREFIX}_requests_total{{api="checkmarx",method="POST",operation="{SMTP_SETTINGS}",status="201"}}'
        in text
    )


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    return {"METRICS_SERVER_NAMES": "true"}


def test_every_label_is_explained() -> None:
    explained = PAGE.partition("<!-- /metrics -->")[2]

    for label in {label for metric in (*ALL_METRICS, *RELAY_METRICS) for label in metric.labels} - {
        "outcome",
        "problem",
        "version",
    }:
        assert re.search(rf"`{label}`", explained), label
