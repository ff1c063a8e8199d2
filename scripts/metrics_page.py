"""Write the table of metrics into docs/metrics.md, from the code that counts them."""

import re
from collections.abc import Iterable
from pathlib import Path

from mailsettings.telemetry.catalogue import ALL_METRICS, PREFIX, RELAY_METRICS, MetricDescription
from mailsettings.use_cases.monitoring.gauges import ALL_GAUGES

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
_BETWEEN = re.compile(r"(<!-- metrics -->\n).*(<!-- /metrics -->)", re.DOTALL)
_OF_RELAY = re.compile(r"(<!-- metrics of the relay -->\n).*(<!-- /metrics of the relay -->)", re.DOTALL)

GAUGES = tuple(MetricDescription(name, "gauge", meaning, *labels) for name, meaning, *labels in ALL_GAUGES)


def table(metrics: Iterable[MetricDescription]) -> str:
    """Return one row for each metric, in the order of the code."""
    return "\n".join(["| metric | kind | labels | |", "|---|---|---|---|", *map(_row, metrics)]) + "\n"


def with_table(page: str) -> str:
    """Return *page* with its tables renewed."""
    page = _BETWEEN.sub(lambda match: match[1] + table((*ALL_METRICS, *GAUGES)) + match[2], page)
    return _OF_RELAY.sub(lambda match: match[1] + table(RELAY_METRICS) + match[2], page)


def _row(metric: MetricDescription) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{PREFIX}_{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
