"""Short runs of `make chaos` with a fixed seed; what happens in them is in `scenarios.py`."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos.__main__ import RECOVERY_SECONDS
from chaos.report import Report
from chaos.scenarios import on_postgresql, on_sqlite, with_fail_over

SEED = 20210901

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server's processes are found in /proc")


@pytest.mark.parametrize("scenario", [on_postgresql, on_sqlite, with_fail_over])
async def test_nothing_acknowledged_is_lost_whatever_is_killed_cut_or_restarted(
    scenario: Callable[[Path, float, int], Awaitable[Report]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cases 39 and 40."""
    report = await scenario(tmp_path, 0, SEED)
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201  # recovery times are worth seeing in every run

    assert report.findings == []
    assert report.reckoning.acknowledged > 0
    assert report.longest_recovery < 3 * RECOVERY_SECONDS  # the machine is shared
