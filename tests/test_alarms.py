"""The alarms: each fires and resolves, uses existing metrics, and is the same in every file that has it."""

import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES: Mapping[str, Any] = yaml.safe_load((FOLDER / "rules.yaml").read_text())
ALARMS: Mapping[str, str] = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
TESTS = yaml.safe_load((FOLDER / "tests.yaml").read_text())["tests"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
DIAGRAMS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
TARGET_LABELS = {"job", "instance"}
"""Labels that Prometheus adds."""


def test_every_file_is_as_the_script_writes_it() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "alarms.py"))
    found = [PAGE, *((FOLDER / name).read_text() for name in ("prometheus-rule.yaml", "dashboard.json"))]
    written = [script["with_alarms"](PAGE), script["resource"](), script["dashboard"]()]

    assert written == found, "run: .venv/bin/python scripts/alarms.py"


def test_the_resource_has_the_rules_of_the_file() -> None:
    resource = yaml.safe_load((FOLDER / "prometheus-rule.yaml").read_text())

    assert (resource["kind"], resource["apiVersion"]) == ("PrometheusRule", "monitoring.coreos.com/v1")
    assert resource["spec"] == RULES


def metrics_with_labels() -> dict[str, set[str]]:
    """All series in the tables of the page, with their labels; a histogram has three."""
    found: dict[str, set[str]] = {
        "up": set(),
        "process_resident_memory_bytes": set(),
        "process_cpu_seconds_total": set(),
    }
    for row in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        if row.startswith("| `mailsettings_"):
            name, kind, labels, _ = (cell.strip() for cell in row.strip("|").split(" | "))
            series = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            found |= {name.strip("`") + ending: set(re.findall(r"`(\w+)`", labels)) for ending in series}
    return {name: labels | TARGET_LABELS for name, labels in found.items()}


@pytest.mark.parametrize("expression", [*ALARMS.values(), *DIAGRAMS])
def test_every_expression_uses_existing_metrics_and_labels(expression: str) -> None:
    known = metrics_with_labels()
    series = re.findall(r"\b(up|process_\w+|mailsettings_\w+)(?:{([^}]*)})?", expression)
    grouped = {name for group in re.findall(r"\bby \(([^)]*)\)", expression) for name in group.split(", ")}

    assert series
    for name, matchers in series:
        assert set(re.findall(r"(\w+)[!=]", matchers)) <= known[name]
        assert grouped - {"le"} <= known[name]
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_has_a_test_that_it_fires_and_resolves(alarm: str) -> None:
    courses = [
        [bool(step["exp_alerts"]) for step in test["alert_rule_test"] if step["alertname"] == alarm]
        for test in TESTS
    ]

    assert any(course[:1] == [False] and True in course and course[-1:] == [False] for course in courses)


def test_connection_tests_of_every_api_may_be_slow() -> None:
    paths = json.loads((ROOT / "docs" / "openapi" / "openapi.json").read_text())["paths"]
    (excluded,) = re.findall(r'operation!~"([^"]+)"', ALARMS["MailSettingsSlow"])

    tests = {path for path in paths if re.fullmatch(excluded, path)}

    assert tests == {path for path in paths if "test" in path.rpartition("/")[2]}
    assert len({path.split("/")[1] for path in tests}) == 3  # of each API


@pytest.fixture
def promtool() -> Callable[..., None]:
    """Run promtool; skip where it is missing."""
    path = shutil.which("promtool") or pytest.skip("promtool is missing: apt-get install prometheus")

    def run(*arguments: str | Path) -> None:
        ran = subprocess.run([path, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return run


def test_each_alarm_fires_and_resolves_when_it_should(promtool: Callable[..., None]) -> None:
    promtool("test", "rules", "tests.yaml")


def test_prometheus_accepts_expressions_of_the_dashboard(promtool: Callable[..., None], tmp_path: Path) -> None:
    rules = [
        {"record": f"diagram:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(DIAGRAMS)
    ]
    file = tmp_path / "diagrams.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "diagrams", "rules": rules}]}))

    promtool("check", "rules", file)


def test_the_documented_scrape_is_a_valid_configuration(promtool: Callable[..., None], tmp_path: Path) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    scrape = next(part for part in page.split("\n\n") if part.startswith("    scrape_configs:"))
    (tmp_path / "secret").write_text("a client secret")
    file = tmp_path / "prometheus.yaml"
    text = re.sub(r"(?m)^    ", "", scrape).replace(
        "/etc/prometheus/mail-settings-secret", str(tmp_path / "secret")
    )
    file.write_text(f"rule_files: [{FOLDER}/rules.yaml]\n{text}\n")

    promtool("check", "config", file)


def test_targets_have_the_jobs_that_alarms_name() -> None:
    (service,) = yaml.safe_load((FOLDER / "service-monitor.yaml").read_text())["spec"]["endpoints"]
    (relay,) = yaml.safe_load((FOLDER / "pod-monitor.yaml").read_text())["spec"]["podMetricsEndpoints"]
    scraped = re.findall(r"job_name: ([\w-]+)", (ROOT / "docs" / "metrics.md").read_text())

    jobs = [each["replacement"] for endpoint in (service, relay) for each in endpoint["relabelings"]]
    assert set(re.findall(r'job="([^"]+)"', " ".join(ALARMS.values()))) == set(jobs) >= set(scraped)
    assert "mail-settings" in scraped
