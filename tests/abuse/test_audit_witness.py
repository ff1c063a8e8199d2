"""An attacker who can write the database, but not the data directory, hides audit entries."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select, text

from mailsettings import settings
from mailsettings.bootstrap.backend import Backend, create_backend, prepare
from mailsettings.cli import main
from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store import database_url, engine, tables
from mailsettings.store.audit_witness import WITNESS_NAME
from mailsettings.store.encryption.key_file import new_key_line
from mailsettings.use_cases.audit_log import write_audit_entry

LOG = (tables.audit_entries, tables.audit_head, tables.service_keys)
RECORD = AuditRecord("alice", Origin(), Action.LOGIN, None, AuditOutcome.DONE)
Attack = Callable[[], None]


@pytest.fixture
def url(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database, and the data directory of a service that uses it."""
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", database_url)
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "keys"))
    return database_url


@asynccontextmanager
async def service() -> AsyncIterator[Backend]:
    """All of a service but HTTP, from its start to its end."""
    chosen = settings.read()
    prepare(chosen)
    backend = create_backend(chosen)
    await backend.establish()
    await backend.witness.look()
    try:
        yield backend
    finally:
        await backend.close()


async def write(backend: Backend, count: int) -> None:
    for number in range(count):
        await write_audit_entry(backend.store, OPERATOR, Action.LOGIN, f"account {number}", AuditOutcome.DONE, {})


async def problem(backend: Backend) -> str | None:
    return (await backend.use_cases.audit_log.verify(OPERATOR)).problem


def change(url: str, *statements: str) -> None:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()


def copy_of(url: str) -> Attack:
    """Copy the rows of the log; return a function that restores them."""
    database = engine.sync_engine(url)
    with database.begin() as connection:
        rows = {table: [row._asdict() for row in connection.execute(select(table))] for table in LOG}
    database.dispose()

    def put_back() -> None:
        change(url, *(f"DELETE FROM {table}" for table in LOG))
        database = engine.sync_engine(url)
        with database.begin() as connection:
            for table, copied in rows.items():
                connection.execute(insert(table), copied)
        database.dispose()

    return put_back


async def written_after_a_copy(url: str) -> Attack:
    """A log of six entries, and the attack that puts its first three back."""
    async with service() as backend:
        await write(backend, 3)
    put_back = copy_of(url)
    async with service() as backend:
        await write(backend, 3)
    return put_back


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "mailsettings.audit" and record.levelno >= logging.ERROR
    ]


async def cut_tail(url: str) -> None:
    """The last entries, and the row of the head as it was before them."""
    (await written_after_a_copy(url))()


async def delete_everything(url: str) -> None:
    """All entries, the head, and the key."""
    await written_after_a_copy(url)
    change(url, *(f"DELETE FROM {table}" for table in LOG))


ATTACKS = {"the tail and the head cut": cut_tail, "everything deleted": delete_everything}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_entries_that_were_removed_with_all_traces_are_missed(
    url: str, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    await ATTACKS[attack](url)
    async with service() as backend:
        at_the_start = errors(caplog)
        found = await problem(backend)
        await write(backend, 20)
        longer = await problem(backend)
    caplog.clear()
    async with service() as backend:
        later = errors(caplog)

    assert len(at_the_start) == 1
    assert "mailsettings audit accept" in at_the_start[0]
    assert found is not None
    assert "entry 6 is noted in " in found
    assert longer is not None
    assert "Entry 6 differs from the entry that is noted in " in longer
    assert len(later) == 1


async def test_entries_removed_while_the_service_runs_are_logged_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def told() -> bool:
        return bool(errors(caplog))

    async with service() as backend:
        await write(backend, 3)
        put_back = copy_of(url)
        await write(backend, 3)
        await noted(backend, 6)
        put_back()
        await write(backend, 2)
        await until(told)
        await write(backend, 30)

    assert len(errors(caplog)) == 1
    assert "entry 6 is noted in " in errors(caplog)[0]


async def test_an_accepted_log_is_followed_again(url: str, caplog: pytest.LogCaptureFixture) -> None:
    await delete_everything(url)

    accepted = await asyncio.to_thread(typed, "audit", "accept")
    again = await asyncio.to_thread(typed, "audit", "accept")

    caplog.clear()
    async with service() as backend:
        entry = (await backend.use_cases.audit_log.page(OPERATOR))[-1]
        assert await problem(backend) is None
        await write(backend, 3)
        await noted(backend, entry.sequence + 3)
    assert errors(caplog) == []
    assert "before it had 6:" in accepted
    assert "nothing to accept" in again
    assert (entry.record.action, entry.record.outcome) == ("audit.accept", "done")
    assert str(entry.record.actor).startswith("operator:")
    assert str(entry.record.details["noted"]).startswith("6:")


async def test_every_command_tells_of_a_log_that_was_cut(url: str) -> None:
    await cut_tail(url)
    ran = await asyncio.to_thread(CliRunner().invoke, main, ["audit", "verify"])

    assert ran.exit_code == 1
    assert "The log ends at entry 3; entry 6 is noted in " in ran.stderr


async def test_an_older_copy_of_the_database_file_is_detected(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "data"))
    file = database_url.sqlite_file(sqlite_url)
    async with service() as backend:
        await backend.accounts.add(OPERATOR, Account("alice", frozenset({"view-audit-log"})), "correct horse")
    shutil.copy2(file, tmp_path / "older")
    async with service() as backend:
        await backend.accounts.remove(OPERATOR, AccountKind.USER, "alice")
    shutil.copy2(tmp_path / "older", file)

    async with service() as backend:
        assert [account.name for account in await backend.accounts.list()] == ["alice"]
        assert "The log ends at entry 1; entry 2 is noted in " in str(await problem(backend))
    assert len(errors(caplog)) == 1


async def test_a_log_and_witness_that_agree_verify(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with service() as backend:
            await write(backend, 2)
            assert await problem(backend) is None

    assert witness().startswith("4:")
    assert errors(caplog) == []


async def test_what_was_rolled_back_is_not_noted(url: str) -> None:
    async with service() as backend:
        await write(backend, 1)
        with suppress(ZeroDivisionError):
            async with backend.store.writing() as work:
                await work.audit.append(RECORD)
                raise ZeroDivisionError

    assert witness().startswith("1:")


async def test_lagging_witness_catches_up_and_each_directory_has_one(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with service() as backend:
        await write(backend, 2)
    shutil.copytree(tmp_path / "keys", tmp_path / "replica")
    async with service() as backend:
        await write(backend, 3)
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "replica"))
    behind = witness()
    async with service() as backend:
        assert await problem(backend) is None

    assert behind.startswith("2:")
    assert witness().startswith("5:")
    assert errors(caplog) == []


async def test_directory_without_a_witness_starts_from_the_current_log(url: str) -> None:
    async with service() as backend:
        await write(backend, 2)
    (settings.read().data_dir / WITNESS_NAME).unlink()
    async with service():
        pass

    assert witness().startswith("2:")


async def test_processes_side_by_side_share_one_witness(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with service() as one, service() as two, service() as three:
        await asyncio.gather(*(write(backend, 15) for backend in (one, two, three)))

    assert int(witness().split(":")[0]) >= 44
    async with service() as backend:
        assert await problem(backend) is None
    assert witness().startswith("45:")
    assert errors(caplog) == []


@pytest.mark.parametrize("content", ["", "nonsense", "7:zz", "7:" + "00" * 200])
async def test_witness_with_foreign_content_fails_verification_and_stays_unchanged(
    url: str, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    async with service() as backend:
        await write(backend, 1)
    (settings.read().data_dir / WITNESS_NAME).write_text(content)
    async with service() as backend:
        await write(backend, 1)
        assert "does not hold the number and hash" in str(await problem(backend))
    assert witness() == content
    assert len(errors(caplog)) == 1

    assert "before it had no entry" in await asyncio.to_thread(typed, "audit", "accept")
    async with service() as backend:
        assert await problem(backend) is None


async def test_without_a_data_directory_the_log_reports_it(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mailsettings.audit")
    keys = tmp_path / "mounted-keys"
    keys.write_text(new_key_line())
    keys.chmod(0o400)
    monkeypatch.setenv("MAILSETTINGS_ENCRYPTION_KEYS_FILE", str(keys))
    async with service() as backend:
        await write(backend, 2)
        assert await problem(backend) is None
        await write(backend, 2)
    said = [record for record in caplog.records if "Only this log has" in record.getMessage()]

    assert [record.levelno for record in said] == [logging.INFO]
    assert "audit-witness cannot be written: No such file or directory." in said[0].getMessage()
    assert not (tmp_path / "keys").exists()


async def test_unavailable_database_leaves_the_witness_behind_without_an_error(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service() as backend:
        await write(backend, 1)
        await noted(backend, 1)

        def away() -> None:
            raise StoreUnavailable

        with monkeypatch.context() as patched:
            patched.setattr(backend.store, "reading", away)
            await write(backend, 1)
            await backend.witness.close()

    assert witness().startswith("1:")
    assert errors(caplog) == []
    async with service():
        pass
    assert witness().startswith("2:")


async def test_restore_into_a_known_directory_waits_for_an_operator(
    sqlite_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passphrase").write_text("correct horse battery")
    (tmp_path / "passphrase").chmod(0o600)
    by_file = (str(tmp_path / "backup"), "--passphrase-file", str(tmp_path / "passphrase"))
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "data"))
    async with service() as backend:
        await write(backend, 3)
    await asyncio.to_thread(typed, "backup", *by_file)
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", postgres_url)
    restored = await asyncio.to_thread(typed, "restore", *by_file)
    refused = await asyncio.to_thread(CliRunner().invoke, main, ["audit", "verify"])
    await asyncio.to_thread(typed, "audit", "accept")
    verified = await asyncio.to_thread(typed, "audit", "verify")

    assert "Entry 5 differs from the entry that is noted in " in restored
    assert "To accept it: mailsettings audit accept" in restored
    assert refused.exit_code == 1
    assert "6 entries, all as they were written" in verified


def typed(*arguments: str) -> str:
    """What a command prints that has to succeed."""
    ran = CliRunner().invoke(main, arguments)
    assert (ran.exit_code, ran.stderr) == (0, "")
    return ran.stdout


def witness() -> str:
    """What the file holds."""
    return (settings.read().data_dir / WITNESS_NAME).read_text().removesuffix("\n")


async def noted(backend: Backend, sequence: int) -> None:
    """Wait until the witness has this entry."""

    async def has() -> bool:
        known = await backend.witness.noted()
        return known is not None and known.sequence == sequence

    await until(has)


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    while not await found():  # noqa: ASYNC110  # a file and a log say nothing when they change
        await asyncio.sleep(0.05)
