"""A disk without room: 503 for what writes, all that was acknowledged is read, and with room it goes on."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from mailsettings.store import migrations

from chaos.fleet import Fleet, running_fleet
from support.postgres import running_postgres
from support.request_bodies import checkmarx
from support.service import SMTP_SETTINGS, TOKEN

Room = Callable[[], AbstractContextManager[None]]
"""Takes all room away while its block runs."""

MOST_WRITES = 300
"""Pages have room for some, and then a file has to grow."""


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """A file system of its own. Skips the test where none may be mounted."""
    place = Path(tempfile.mkdtemp(prefix="mailsettings-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "tmpfs", str(place)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("no file system may be mounted")
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        place.rmdir()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room on *disk* while the block runs."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def limited(fleet: Fleet, database: Path) -> Iterator[None]:
    """No file that the servers write may be longer than *database* is now."""
    processes = [member.process for member in fleet.members]
    before = resource.prlimit(processes[0], resource.RLIMIT_FSIZE)
    for process in processes:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (database.stat().st_size, before[1]))
    try:
        yield
    finally:
        for process in processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, before)


class Admin:
    """Writes, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
        self._http.headers["Authorization"] = f"Bearer {self._http.post(TOKEN, data=form).json()['access_token']}"
        self.acknowledged: list[str] = []

    def write(self) -> httpx.Response:
        host = f"h{len(self.acknowledged)}.example"
        answer = self._http.post(SMTP_SETTINGS, json=checkmarx("a password") | {"host": host})
        if answer.status_code == 201:
            self.acknowledged.append(host)
        return answer

    def write_until_full(self) -> httpx.Response:
        """The first answer that is no success."""
        return next(answer for _ in range(MOST_WRITES) if not (answer := self.write()).is_success)

    def hosts(self) -> list[str]:
        return [server["host"] for server in self._http.get(SMTP_SETTINGS).raise_for_status().json()]

    def close(self) -> None:
        self._http.close()


@contextmanager
def sqlite_on_a_small_disk(folder: Path) -> Iterator[tuple[Fleet, Room]]:
    with small_disk(4) as disk, running_fleet(disk, 1) as fleet:
        yield fleet, lambda: filled(disk)


@contextmanager
def sqlite_with_short_files(folder: Path) -> Iterator[tuple[Fleet, Room]]:
    with running_fleet(folder, 1) as fleet:
        yield fleet, lambda: limited(fleet, folder / "data" / "mailsettings.db")


@contextmanager
def postgresql_on_a_small_disk(folder: Path) -> Iterator[tuple[Fleet, Room]]:
    with small_disk(128) as disk, running_postgres(disk) as postgres:
        postgres.execute("CREATE DATABASE small")
        migrations.migrate(postgres.url("small"))
        with running_fleet(folder, 1, DATABASE_URL=postgres.url("small")) as fleet:
            yield fleet, lambda: filled(disk)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limits")
@pytest.mark.parametrize("database", [sqlite_on_a_small_disk, sqlite_with_short_files, postgresql_on_a_small_disk])
def test_without_room_writing_is_a_503_reading_goes_on_and_with_room_all_is_well(
    database: Callable[[Path], AbstractContextManager[tuple[Fleet, Room]]], tmp_path: Path
) -> None:
    """Case 39."""
    with database(tmp_path) as (fleet, without_room):
        admin = Admin(fleet.members[0].url)
        before = [admin.write().status_code for _ in range(3)]
        with without_room():
            refused = [admin.write_until_full(), admin.write()]
            read = admin.hosts()
        acknowledged = list(admin.acknowledged)
        after = admin.write()
        in_the_end = admin.hosts()
        admin.close()

    assert before == [201] * 3
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in refused] == [(503, "5")] * 2
    assert read == acknowledged
    assert after.status_code == 201
    assert in_the_end == [*acknowledged, admin.acknowledged[-1]]
