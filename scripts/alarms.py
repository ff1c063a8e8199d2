"""Write everything that follows from deploy/prometheus/rules.yaml, and the dashboard.

These are the list in docs/operations.md, the resource of the Prometheus Operator, and the dashboard of Grafana.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "operations.md"
RESOURCE, DASHBOARD = FOLDER / "prometheus-rule.yaml", FOLDER / "dashboard.json"
RULES: Mapping[str, Any] = yaml.safe_load((FOLDER / "rules.yaml").read_text())
_BETWEEN = re.compile(r"(<!-- alarms -->\n).*(<!-- /alarms -->)", re.DOTALL)
_UNITS = {"m": "minute", "h": "hour"}


def with_alarms(page: str) -> str:
    """Return *page* with its list of alarms renewed."""
    return _BETWEEN.sub(lambda match: match[1] + "\n".join(_described()) + match[2], page)


def _described() -> Iterator[str]:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            severity, summary = rule["labels"]["severity"], rule["annotations"]["summary"]
            yield f"`{rule['alert']}`, {severity}, {_delay(rule)}: {summary}\n"
            yield f"```promql\n{rule['expr']}\n```\n"


def _delay(rule: Mapping[str, Any]) -> str:
    if "for" not in rule:
        return "at once"
    count, unit = int(rule["for"][:-1]), _UNITS[rule["for"][-1]]
    return f"after {count} {unit}{'s' if count > 1 else ''}"


def resource() -> str:
    """Return the rules as a resource of the Prometheus Operator."""
    made = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "mailsettings", "labels": {"app.kubernetes.io/name": "mailsettings"}},
        "spec": RULES,
    }
    head = "# Written by scripts/alarms.py from rules.yaml. Add the labels that your Prometheus selects.\n"
    return head + yaml.safe_dump(made, sort_keys=False, width=1000)


class Panel(NamedTuple):
    """A diagram: its title, the unit of Grafana, and expressions with their legends."""

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]


_LATENCY = "sum by (le, api) (rate(mailsettings_request_duration_seconds_bucket[$__rate_interval]))"
PANELS = (
    Panel(
        "Requests by class of the status",
        "reqps",
        [("sum by (class) (rate(mailsettings_responses_total[$__rate_interval]))", "{{class}}")],
    ),
    Panel("Duration of requests, 99th percentile", "s", [(f"histogram_quantile(0.99, {_LATENCY})", "{{api}}")]),
    Panel("Database connections in use", "short", [("mailsettings_database_pool_in_use", "{{instance}}")]),
    Panel(
        "Failed logins",
        "short",
        [("sum by (problem) (increase(mailsettings_failed_logins_total[$__rate_interval]))", "{{problem}}")],
    ),
    Panel(
        "Connection tests",
        "short",
        [
            (
                "sum by (source, outcome) (increase(mailsettings_connection_tests_total[$__rate_interval]))",
                "{{source}}, {{outcome}}",
            )
        ],
    ),
    Panel("Mail servers by health", "short", [("max by (health) (mailsettings_monitored_servers)", "{{health}}")]),
    Panel(
        "Failing mail servers",
        "short",
        [("max by (mail_server) (mailsettings_mail_server_failing)", "{{mail_server}}")],
    ),
    Panel(
        "Days left of certificates and secrets",
        "d",
        [
            (
                "min by (mail_server) (mailsettings_mail_server_certificate_days_left)",
                "certificate of {{mail_server}}",
            ),
            ("min by (mail_server) (mailsettings_mail_server_secret_days_left)", "secret of {{mail_server}}"),
        ],
    ),
    Panel(
        "Time since the oldest check",
        "s",
        [("time() - min(mailsettings_monitoring_oldest_check_timestamp_seconds)", "oldest check")],
    ),
    Panel("Events that wait for the webhook", "short", [("max(mailsettings_webhook_waiting_events)", "events")]),
    Panel(
        "Time since the last backup", "s", [("time() - max(mailsettings_last_backup_timestamp_seconds)", "backup")]
    ),
    Panel(
        "Messages of the relay",
        "short",
        [("sum by (result) (increase(mailsettings_relay_messages_total[$__rate_interval]))", "{{result}}")],
    ),
    Panel(
        "Logins of the relay at mail servers",
        "short",
        [
            (
                "sum by (accepted) (increase(mailsettings_relay_server_logins_total[$__rate_interval]))",
                "accepted: {{accepted}}",
            )
        ],
    ),
    Panel("Memory", "bytes", [('process_resident_memory_bytes{job=~"mail-settings.*"}', "{{job}} {{instance}}")]),
    Panel(
        "Processors",
        "short",
        [('rate(process_cpu_seconds_total{job=~"mail-settings.*"}[$__rate_interval])', "{{job}} {{instance}}")],
    ),
    Panel("Versions", "short", [("count by (version) (mailsettings_build_info)", "{{version}}")]),
)
_COLUMNS, _WIDTH, _HEIGHT = 2, 12, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> str:
    """Return the dashboard, as Grafana imports it."""
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    made = {
        "uid": "mailsettings",
        "title": "mail-settings",
        "schemaVersion": 39,
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(made, indent=2) + "\n"


def _panel(number: int, panel: Panel) -> Mapping[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": "ABCDEF"[each], "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for each, (expression, legend) in enumerate(panel.lines)
        ],
    }


if __name__ == "__main__":
    PAGE.write_text(with_alarms(PAGE.read_text()))
    RESOURCE.write_text(resource())
    DASHBOARD.write_text(dashboard())
