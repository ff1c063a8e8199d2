"""Two services behind the real PgBouncer in transaction mode, where each transaction may get another session."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from support import commands
from support.external_programs import program
from support.postgres import Postgres
from support.processes import clean_environment, free_port, make_token, serving
from support.request_bodies import oracle
from support.service import MAIL_SERVER
from support.timeouts import GUARD_SECONDS

pytestmark = pytest.mark.needs("pgbouncer")
SESSIONS = 3
"""Of the server, fewer than the services open, so that they take turns."""


@pytest.fixture
def pooled_url(postgres: Postgres, empty_postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database behind a PgBouncer of its own."""
    port = free_port()
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
        f"default_pool_size = {SESSIONS}\nserver_round_robin = 1\n"
    )
    configuration.chmod(0o644)
    # PgBouncer refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    command = [program("pgbouncer"), "-q", "/dev/stdin"]
    with configuration.open() as given:
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, cwd="/", user=user)
    try:
        wait_for_listener(port)
        yield empty_postgres_url.replace(f":{postgres.port}/", f":{port}/").replace("postgres@", "postgres:x@")
    finally:
        process.terminate()
        process.wait(GUARD_SECONDS)


def wait_for_listener(port: int) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_service_without_the_setting_says_which_to_set(pooled_url: str, tmp_path: Path) -> None:
    ran = commands.run(clean_environment(tmp_path / "data", DATABASE_URL=pooled_url), "migrate")

    assert ran.returncode == 3
    assert "unsupported startup parameter: options (SQLSTATE 08P01)" in ran.stderr
    assert "set MAILSETTINGS_DATABASE_POOLER=transaction" in ran.stderr


async def test_each_read_and_write_succeeds_behind_a_pooler(
    postgres: Postgres, pooled_url: str, tmp_path: Path
) -> None:
    """The database and the role have other defaults than the service needs."""
    name = pooled_url.rpartition("/")[2]
    for unlike in ("default_transaction_isolation = 'serializable'", "datestyle = 'SQL, DMY'"):
        postgres.execute(f"ALTER DATABASE {name} SET {unlike}")
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    environment = clean_environment(tmp_path / "data", DATABASE_URL=pooled_url, DATABASE_POOLER="transaction")
    migrated = commands.run(environment, "migrate")
    assert migrated.returncode == 0, migrated.stderr

    with serving(environment) as (first, log), serving(environment) as (second, other_log):
        headers = {"Authorization": f"Bearer {make_token(environment)}"}
        async with httpx.AsyncClient(headers=headers, timeout=GUARD_SECONDS) as client:
            await client.put(first + MAIL_SERVER, json=oracle("a password"))
            busy = asyncio.Semaphore(16)

            async def ask(method: str, url: str) -> int:
                async with busy:
                    body = oracle("a password") if method == "PUT" else None
                    return (await client.request(method, url + MAIL_SERVER, json=body)).status_code

            wanted = [(method, url) for _ in range(60) for method in ("PUT", "GET") for url in (first, second)]
            statuses = await asyncio.gather(*(ask(*each) for each in wanted))
        both = log.read_text() + other_log.read_text()
        outages = [line for line in both.splitlines() if "mailsettings.database" in line]

    assert outages == []
    assert statuses == [200] * 240
    assert commands.run(environment, "audit", "verify").returncode == 0
