"""Write the table of metrics into docs/metrics.md, from the code that counts them."""

import re
from pathlib import Path

from mailsettings.telemetry.catalogue import ALL_METRICS, PREFIX, MetricDescription
from mailsettings.use_cases import monitoring_status

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
_BETWEEN = re.compile(r"(<!-- metrics -->\n).*(<!-- /metrics -->)", re.DOTALL)


MONITORING = (
    MetricDescription(monitoring_status.SERVERS[0], "gauge", monitoring_status.SERVERS[1], ("health",)),
    *(
        MetricDescription(name, "gauge", meaning)
        for name, meaning in (
            *(monitoring_status.CERTIFICATE, monitoring_status.SECRET),
            *(monitoring_status.LAST_CHECK, monitoring_status.ACTIVE),
        )
    ),
)


def table() -> str:
    """Return one row for each metric, in the order of the code."""
    return (
        "\n".join(["| metric | kind | labels | |", "|---|---|---|---|", *map(_row, (*ALL_METRICS, *MONITORING))])
        + "\n"
    )


def with_table(page: str) -> str:
    """Return *page* with its table renewed."""
    return _BETWEEN.sub(lambda match: match[1] + table() + match[2], page)


def _row(metric: MetricDescription) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{PREFIX}_{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
