"""Databases of both kinds with any number of settings in them, for benchmarks. Needs `PYTHONPATH=tests`.

PostgreSQL is the server of the tests, which does not wait for the disk.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from mailsettings.store import migrations

from support.databases import fill
from support.postgres import running_postgres

NewDatabase = Callable[[int], dict[str, str]]
"""Create a database with so many settings and return the environment of its service."""


@contextlib.contextmanager
def stores(kind: str, directory: Path) -> Iterator[NewDatabase]:
    """Yield a factory of databases of *kind*, `sqlite` or `postgresql`, with data and keys below *directory*."""

    def new(rows: int, url: Callable[[Path], str]) -> dict[str, str]:
        home = directory / uuid.uuid4().hex
        home.mkdir()
        address = url(home)
        migrations.migrate(address)
        fill(address, rows)
        return {
            **os.environ,
            **_SETTINGS,
            "MAILSETTINGS_DATABASE_URL": address,
            "MAILSETTINGS_DATA_DIR": str(home),
        }

    if kind == "sqlite":
        yield lambda rows: new(rows, lambda home: f"sqlite:///{home / 'mailsettings.db'}")
        return
    with running_postgres() as server:

        def address(home: Path) -> str:
            server.execute(f'CREATE DATABASE "{home.name}"')
            return server.url(home.name)

        yield lambda rows: new(rows, address)


_SETTINGS = {
    "MAILSETTINGS_ADMIN_PASSWORD": "correct horse",
    "MAILSETTINGS_LOG_LEVEL": "warning",
    "MAILSETTINGS_DEV": "true",  # tests of the benchmark's own mail server
    "MAILSETTINGS_SMTP_MAX_CONCURRENT_TESTS": "1000",
    "MAILSETTINGS_SMTP_MAX_CONCURRENT_TESTS_PER_CLIENT": "1000",
    "MAILSETTINGS_SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": "10000",
}
