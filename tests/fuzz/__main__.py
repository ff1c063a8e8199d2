"""The long run, outside of the test suite: `make fuzz`. Ends with 1 if anything was found."""

import json
import sys
import tempfile
import time
from pathlib import Path

import click

from fuzz.campaign import Campaign
from fuzz.target import Raw, Target

_DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"


def documents() -> list[dict[str, object]]:
    """The committed documents of the single APIs; a test holds them to the code."""
    paths = sorted(path for path in _DOCUMENTS.glob("*.json") if path.stem != "openapi")
    return [json.loads(path.read_text()) for path in paths]


@click.command(help=__doc__)
@click.option("--requests", envvar="FUZZ_REQUESTS", default=100_000, show_default=True)
@click.option("--seed", envvar="FUZZ_SEED", type=int, default=None, help="To make a run again.")
def main(requests: int, seed: int | None) -> None:
    """Fire, and tell of it."""
    chosen = int(time.time()) * 1000 if seed is None else seed
    click.echo(f"{requests} requests, seed {chosen}; FUZZ_REQUESTS and FUZZ_SEED set others")
    with tempfile.TemporaryDirectory() as folder:
        campaign, begun = Campaign(Target(Path(folder)), documents(), _tell), time.monotonic()
        campaign.run(requests, chosen, lambda: _progress(campaign))
        campaign.target.close()
    click.echo(f"\n{campaign.target.requests} requests in {time.monotonic() - begun:.0f} s")
    for status, times in sorted(campaign.target.by_status.items()):
        click.echo(f"  {times:8} answers of {status}")
    for what, (_raw, times) in campaign.found.items():
        click.echo(f"FOUND {times} times: {what}")
    click.echo(f"{len(campaign.found)} kinds of findings")
    sys.exit(1 if campaign.found else 0)


def _tell(what: str, raw: Raw) -> None:
    click.echo(f"\nFOUND {what}\n  by {repr(raw)[:1500]}")


def _progress(campaign: Campaign) -> None:
    click.echo(f"\r{campaign.target.requests} requests, {len(campaign.found)} kinds of findings", nl=False)


if __name__ == "__main__":
    main()
