"""The long run, outside of the test suite: `make chaos`. Ends with 1 if anything was found."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import click

from chaos.relay import RelayReport, with_relay
from chaos.report import Report
from chaos.scenarios import on_postgresql, on_sqlite, with_fail_over

SCENARIOS: Mapping[str, Callable[[Path, float, int], Awaitable[Report | RelayReport]]] = {
    "postgresql": on_postgresql,
    "sqlite": on_sqlite,
    "fail-over": with_fail_over,
    "relay": with_relay,
}
RECOVERY_SECONDS = 5


@click.command(help=__doc__)
@click.option("--seconds", envvar="CHAOS_SECONDS", default=120.0, show_default=True, help="For each scenario.")
@click.option("--seed", envvar="CHAOS_SEED", type=int, default=None, help="To let the same happen again.")
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)))
def main(seconds: float, seed: int | None, names: tuple[str, ...]) -> None:
    """Run, and tell of it."""
    chosen = int(time.time()) if seed is None else seed
    found = 0
    for name in names or SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(_run(SCENARIOS[name](Path(folder), seconds, chosen)))
        click.echo(report)
        found += len(report.findings) + (report.longest_recovery > RECOVERY_SECONDS)
    click.echo("nothing found" if not found else f"{found} findings")
    sys.exit(1 if found else 0)


async def _run(scenario: Awaitable[Report | RelayReport]) -> Report | RelayReport:
    return await scenario


if __name__ == "__main__":
    main()
