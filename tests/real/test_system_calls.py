"""What is acknowledged was synced to the disk before, as the kernel sees it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chaos.fleet import Fleet, running_fleet
from chaos.system_calls import Call, calls, traced
from support.request_bodies import checkmarx
from support.service import SMTP_SETTINGS, TOKEN

pytestmark = pytest.mark.needs("strace")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running_fleet(tmp_path, 1) as fleet:
        yield fleet


def test_every_byte_of_a_change_is_synced_between_the_request_and_its_answer(fleet: Fleet, tmp_path: Path) -> None:
    """Case 39."""
    [member] = fleet.members
    trace, database = tmp_path / "trace", tmp_path / "data" / "mailsettings.db"
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    with httpx.Client(base_url=member.url, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {http.post(TOKEN, data=form).json()['access_token']}"
        http.post(SMTP_SETTINGS, json=checkmarx("a password")).raise_for_status()
        with traced(member.process, trace):
            http.post(SMTP_SETTINGS, json=checkmarx("a password")).raise_for_status()

    change = between(calls(trace), f'"POST {SMTP_SETTINGS}', '"HTTP/1.1 201')
    journal, log = Path(f"{database}-journal"), Path(f"{database}-wal")
    assert any(call.writes(file) for call in change for file in (database, log))
    assert [unsynced(change, file) for file in (database, journal, log)] == [[]] * 3
    assert not unsynced_removals(change, journal)


def between(done: list[Call], received: str, answered: str) -> list[Call]:
    begun = next(number for number, call in enumerate(done) if received in call.arguments)
    ended = next(number for number, call in enumerate(done) if number > begun and answered in call.arguments)
    return done[begun:ended]


def unsynced(change: list[Call], file: Path) -> list[Call]:
    """What was written to *file* and neither synced nor removed with it since."""
    pending: list[Call] = []
    for call in change:
        if call.writes(file):
            pending.append(call)
        elif call.syncs(file) or call.removes(file):
            pending.clear()
    return pending


def unsynced_removals(change: list[Call], file: Path) -> list[Call]:
    """A journal that is back after a power failure would undo what it belongs to: its folder is synced too."""
    pending: list[Call] = []
    for call in change:
        if call.removes(file):
            pending.append(call)
        elif call.syncs(file.parent):
            pending.clear()
    return pending
