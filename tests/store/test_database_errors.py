"""What an operator reads about a database that cannot be used: the cause, its SQLSTATE, and what to do.

The codes are those of PostgreSQL's Appendix A. The server is real; only the one with a certificate is a socket,
because libpq ends the conversation after the handshake.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import trustme
from sqlalchemy import text

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store import database_url, engine, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.database_errors import MAX_CAUSE_LENGTH, DatabaseUnavailable, problem_of
from mailsettings.store.encryption.sealing import Sealer

from support.canary import Canary
from support.databases import KEY
from support.postgres import Postgres

ROLE = "role_of_causes"


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[Postgres]:
    """The server with a role that needs its password, and a database that refuses it."""
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'right'")
    with psycopg.connect(postgres.url("postgres")) as connection:
        found = connection.execute("SHOW hba_file").fetchone()
    assert found is not None
    rules = Path(found[0])
    before = rules.read_text()
    rules.write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n{before}")
    postgres.execute("SELECT pg_reload_conf()")
    postgres.execute("CREATE DATABASE closed_to_causes")
    postgres.execute("REVOKE CONNECT ON DATABASE closed_to_causes FROM PUBLIC")
    yield postgres
    postgres.execute("DROP DATABASE closed_to_causes")
    rules.write_text(before)
    postgres.execute(f"DROP ROLE {ROLE}")


def explained(url: str) -> str:
    """What a command prints about the database at *url*."""
    with pytest.raises(DatabaseUnavailable) as failed:
        migrations.exists(url)
    assert str(failed.value) == str(StoreUnavailable()), "callers of the API learn nothing"
    return failed.value.explanation


@pytest.mark.parametrize(
    ("place", "code", "cause", "advice"),
    [
        ("wrong@{here}/postgres", "28P01", "password authentication failed", "Check user name and password"),
        ("right@{here}/closed_to_causes", "42501", "permission denied for database", "Grant the role"),
        ("right@{here}/nothere", "3D000", 'database "nothere" does not exist', "Create the database"),
        ("right@{here}/postgres?options=-cnosuch%3D1", "42704", "unrecognized configuration", "Remove it"),
        ("right@{here}/postgres?sslmode=require", None, "does not support SSL", "Turn TLS on"),
        ("right@{here}/postgres?sslmode=canary", None, "invalid sslmode value.", "Correct the parameter"),
        ("right@{here}/postgres?target_session_attrs=standby", None, "not in hot standby", "target_session_attrs"),
        (
            "right@127.0.0.1:1/postgres",
            None,
            "port 1 failed: Connection refused",
            "Check that the database server",
        ),
        ("right@name.invalid/postgres", None, "failed to resolve host 'name.invalid'", "DNS"),
        ("right@%2Fnone/postgres", None, "No such file or directory", "Check that the database server"),
    ],
)
def test_each_cause_has_its_sentence(
    guarded: Postgres, place: str, code: str | None, cause: str, advice: str
) -> None:
    url = f"postgresql://{ROLE}:{place.format(here=f'127.0.0.1:{guarded.port}')}"
    found = explained(url)

    assert cause in found
    assert advice in found
    assert ("SQLSTATE" in found) == (code is not None)
    assert code is None or f"(SQLSTATE {code})" in found
    assert "\n" not in found
    assert "canary" not in found


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(postgres: Postgres, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    postgres.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        assert f"its encoding is {encoding}" in explained(postgres.url(name))
        assert "ENCODING 'UTF8'" in explained(postgres.url(name))
    finally:
        postgres.execute(f"DROP DATABASE {name}")


def test_a_role_without_create_gets_a_sentence(guarded: Postgres, empty_postgres_url: str) -> None:
    url = empty_postgres_url.replace("postgres@", f"{ROLE}:right@")
    with pytest.raises(DatabaseUnavailable) as failed:
        migrations.migrate(url)

    assert "permission denied for schema public (SQLSTATE 42501). Grant the role" in failed.value.explanation


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://u:p@h/d?colour=canary", "the parameter colour"),
        ("postgresql://u:can@ary@h/d", "more than one @"),
        ("postgresql://u:p@/d?host=h&port=canary", "a port that is not a number"),
        ("canary://u:p@h/d", "must begin with"),
    ],
)
def test_an_unusable_url_is_explained_without_its_values(url: str, problem: str) -> None:
    with pytest.raises(database_url.DatabaseUnsupported) as refused:
        migrations.exists(url)

    assert problem in str(refused.value)
    assert "canary" not in str(refused.value)
    assert "ary" not in str(refused.value)


@contextmanager
def server_with(certificate: trustme.LeafCert) -> Iterator[int]:
    """Speak TLS as PostgreSQL does: the byte S answers an SSLRequest (protocol 3, 55.7)."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client, suppress(OSError):
                    client.recv(8)
                    client.sendall(b"S")
                    with tls.wrap_socket(client, server_side=True) as encrypted:
                        encrypted.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_certificates_that_do_not_fit_are_named(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "right.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    with server_with(authority.issue_cert("elsewhere.example.org")) as port:
        url = f"postgresql://u:p@127.0.0.1:{port}/d?sslmode=verify-full&sslrootcert={tmp_path}"
        name, stranger, missing = (explained(f"{url}/{file}") for file in ("right.pem", "other.pem", "none.pem"))

    assert 'server certificate for "elsewhere.example.org" does not match host name "127.0.0.1"' in name
    assert "Use a name of the certificate" in name
    assert "certificate verify failed" in stranger
    assert "sslrootcert" in stranger
    assert f'root certificate file "{tmp_path}/none.pem" does not exist' in missing
    assert "sslrootcert" in missing


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "mailsettings.db"
    file.write_bytes(b"this is no database, whatever its name says" * 100)
    file.chmod(0o600)

    assert "file is not a database (SQLITE_NOTADB). The file is damaged" in explained(f"sqlite:///{file}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable) as failed:
        migrations.migrate(f"sqlite:///{tmp_path}/file/data/mailsettings.db")

    assert f"{tmp_path}/file" in failed.value.explanation
    assert "Check the path" in failed.value.explanation


def test_a_cause_is_bounded_and_repeats_no_url() -> None:
    long = problem_of(psycopg.OperationalError("x" * 10_000))
    leaky = problem_of(psycopg.OperationalError('host "can@ary" of postgresql://u:canary@h/d\nis unknown'))

    assert len(long.cause) == MAX_CAUSE_LENGTH
    assert leaky.cause == 'host "…" of …'


async def read(store: SQLStore) -> bool:
    """Whether the database answers."""
    try:
        async with store.reading() as view:
            await view.accounts.list()
        await store.cache.account("somebody")
    except StoreUnavailable:
        return False
    return True


async def write(store: SQLStore) -> bool:
    try:
        async with store.writing() as work:
            await work.monitoring.now()
            await work._connection.execute(text("DELETE FROM accounts"))  # noqa: SLF001  # any statement that writes
    except StoreUnavailable:
        return False
    return True


@pytest.fixture
async def as_role(guarded: Postgres, postgres_url: str) -> AsyncIterator[Callable[[], SQLStore]]:
    """Make the store of a service that logs in with a password, and may read and write."""
    database = engine.sync_engine(postgres_url)
    with database.begin() as connection:
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}")
    made: list[SQLStore] = []

    def new() -> SQLStore:
        made.append(SQLStore(postgres_url.replace("postgres@", f"{ROLE}:right@"), Sealer(KEY)))
        made[-1].outages.start_logging()
        return made[-1]

    yield new
    for store in made:
        await store.close()
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {ROLE}")
    database.dispose()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.message) for each in caplog.records if each.name == "mailsettings.database"]


async def test_a_changed_password_is_logged_once_and_its_end(
    guarded: Postgres, as_role: Callable[[], SQLStore], caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    """The connections that were open before the change end with it, as at a restart."""
    caplog.set_level(logging.INFO)
    store = as_role()
    before = await read(store)
    guarded.execute(f"ALTER ROLE {ROLE} PASSWORD '{canary.secret[:8].encode().hex()}'")
    guarded.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
    during = [await read(store) for _ in range(3)] + list(await asyncio.gather(*(write(store) for _ in range(3))))
    guarded.execute(f"ALTER ROLE {ROLE} PASSWORD 'right'")
    after = [await read(store) for _ in range(2)]
    found = lines(caplog)

    assert (before, during, after) == (True, [False] * 6, [True] * 2)
    assert [level for level, _ in found] == ["WARNING", "INFO"]
    assert "password authentication failed" in found[0][1]
    assert "(SQLSTATE 28P01)" in found[0][1]
    assert found[1][1].startswith("The database is available again, after ")


async def test_a_role_that_only_reads_is_one_outage(
    postgres_url: str, as_role: Callable[[], SQLStore], caplog: pytest.LogCaptureFixture
) -> None:
    """Reads continue and do not end it."""
    caplog.set_level(logging.INFO)
    store = as_role()
    database = engine.sync_engine(postgres_url)
    with database.begin() as connection:
        connection.exec_driver_sql(f"REVOKE DELETE ON accounts FROM {ROLE}")
    done = [await write(store), await read(store), await write(store), await read(store)]
    with database.begin() as connection:
        connection.exec_driver_sql(f"GRANT DELETE ON accounts TO {ROLE}")
    database.dispose()
    done.append(await write(store))
    found = lines(caplog)

    assert done == [False, True, False, True, True]
    assert [level for level, _ in found] == ["WARNING", "INFO"]
    assert "permission denied for table accounts (SQLSTATE 42501). Grant the role" in found[0][1]
