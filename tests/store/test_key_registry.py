"""Keys that change under a running service: what seals, what may be dropped, what one bad row may spoil."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, delete, insert, select, update

from mailsettings.auth.tokens import make
from mailsettings.domain.access import OPERATOR, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.encryption_keys import KeyIsCurrent, KeyNeeded, KeyUnknown, ResealResult
from mailsettings.domain.errors import SecretUnreadable, SigningKeyNotFound, StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store import database_url, engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_check import (
    DROPPED_KEY_CHECK,
    WrongKey,
    key_checks,
    needs_keys,
    register_key,
    require_matching_keys,
)
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys
from mailsettings.store.encryption.key_registry import SQLKeyRegistry
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, SealedColumn, Sealer
from mailsettings.store.private_file import KeyFileUnusable
from mailsettings.store.tables import encryption_keys, mail_servers, metadata, service_keys
from mailsettings.use_cases.keys import ManageEncryptionKeys, ManageSigningKeys

from support.databases import KEY, all_of

OTHER_KEY = bytes(32)
OURS = 1
"""In addition to the secrets of mail servers, the key of the audit log is sealed."""


class Service:
    """A store on a ring of its own, and the use cases over both."""

    def __init__(self, url: str, path: Path) -> None:
        self.ring = LiveKeys(KeyFile(path))
        self.ring.file.create()
        self.store = SQLStore(url, self.ring)
        self.keys = ManageEncryptionKeys(self.store, self.ring)

    async def add(self, password: str) -> int:
        login = PasswordAuthentication("u", Secret(password))
        server = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@b"), login)
        async with self.store.writing() as work:
            return await work.mail_servers.add(server)

    async def reveal(self, server_id: int) -> str:
        return (await self.secret(server_id)).reveal()

    async def secret(self, server_id: int) -> Secret:
        async with self.store.reading() as view:
            stored = await view.mail_servers.find(server_id)
        assert stored is not None
        assert stored.server.secret is not None
        return stored.server.secret

    @property
    def current(self) -> str:
        return self.ring.newest().key_id

    async def counts(self) -> dict[str, int]:
        return {key.key_id: key.secrets for key in (await self.keys.status(OPERATOR)).keys}


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(database_url, tmp_path / "sealing-keys")
    async with service.store.writing() as work:  # the first entry of the audit log makes its key
        await work.audit.append(AuditRecord(None, Origin(), Action.ACCESS, None, AuditOutcome.DONE))
    yield service
    await service.store.close()


@pytest.fixture
async def late(service: Service, database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A replica with a copy of the key file, as old as the test needs it."""
    late = Service(database_url, Path(shutil.copy(tmp_path / "sealing-keys", tmp_path / "late")))
    yield late
    await late.store.close()


def run(url: str, *statements: Any) -> list[Any]:
    """By plain SQL, past the store; the rows of the last statement."""
    database = engine.sync_engine(url)
    with database.begin() as connection:
        results = [connection.execute(statement) for statement in statements]
        rows = list(results[-1]) if results[-1].returns_rows else []
    database.dispose()
    return rows


async def test_rotated_key_seals_and_the_old_one_still_opens(service: Service) -> None:
    old = service.current
    first = await service.add("one")
    new = await service.keys.rotate(OPERATOR)
    second = await service.add("two")

    assert service.current == new != old
    assert await service.counts() == {old: 1 + OURS, new: 1}
    assert (await service.reveal(first), await service.reveal(second)) == ("one", "two")


async def test_resealing_changes_only_the_key_of_each_secret(service: Service, database_url: str) -> None:
    ids = [await service.add(f"password {number}") for number in range(7)]
    columns = [column for column in mail_servers.c if column.name != "sealed_secret"]
    before = run(database_url, select(*columns).order_by(mail_servers.c.id))
    old, new = service.current, await service.keys.rotate(OPERATOR)

    assert await service.keys.reseal(OPERATOR, batch=3) == ResealResult(7 + OURS)
    assert await service.keys.reseal(OPERATOR, batch=3) == ResealResult(0)
    assert await service.counts() == {old: 0, new: 7 + OURS}
    assert [await service.reveal(one) for one in ids] == [f"password {number}" for number in range(7)]
    assert run(database_url, select(*columns).order_by(mail_servers.c.id)) == before


async def test_progress_is_reported_after_each_batch(service: Service) -> None:
    for number in range(7):
        await service.add(f"password {number}")
    await service.keys.rotate(OPERATOR)
    outdated, counts = await service.keys.outdated(OPERATOR), []

    async def note(done: ResealResult) -> None:
        counts.append(done.count)

    await service.keys.reseal(OPERATOR, 3, note)

    assert outdated == counts[-1] == 7 + OURS
    assert counts == sorted(counts)
    assert counts[:3] == [3, 6, 7]
    assert await service.keys.outdated(OPERATOR) == 0


async def test_interrupted_resealing_continues_where_it_ended(service: Service) -> None:
    for number in range(5):
        await service.add(f"password {number}")
    await service.keys.rotate(OPERATOR)
    async with service.store.writing() as work:
        done, position = await work.encryption_keys.reseal(None, 3)

    assert (done, position is not None) == (ResealResult(3), True)
    assert await service.keys.reseal(OPERATOR) == ResealResult(2 + OURS)


async def test_only_an_old_unused_key_can_be_dropped(service: Service) -> None:
    old = service.current
    server = await service.add("one")
    with pytest.raises(KeyIsCurrent, match=old):
        await service.keys.drop(OPERATOR, old)
    await service.keys.rotate(OPERATOR)
    with pytest.raises(KeyNeeded, match=f"2 secrets need the key {old}"):
        await service.keys.drop(OPERATOR, old)
    with pytest.raises(KeyUnknown):
        await service.keys.drop(OPERATOR, "0123456789abcdef")
    await service.keys.reseal(OPERATOR)
    await service.keys.drop(OPERATOR, old)

    assert await service.counts() == {service.current: 1 + OURS}
    assert await service.reveal(server) == "one"
    with pytest.raises(KeyUnknown):
        await service.keys.drop(OPERATOR, old)


async def test_key_that_never_sealed_can_be_dropped_for_good(
    service: Service, late: Service, tmp_path: Path
) -> None:
    unused = service.ring.add()
    shutil.copy(tmp_path / "sealing-keys", tmp_path / "late")
    service.ring.add()
    await service.keys.drop(OPERATOR, unused)

    with pytest.raises(StoreUnavailable):
        await late.add("with the dropped key")
    assert unused not in await service.counts()


async def test_an_interrupted_drop_can_be_repeated(service: Service) -> None:
    old = service.current
    await service.keys.rotate(OPERATOR)
    await service.keys.reseal(OPERATOR)
    service.ring.file.remove(old)
    left = [key for key in (await service.keys.status(OPERATOR)).keys if key.key_id == old]
    await service.keys.drop(OPERATOR, old)

    assert [key.is_available for key in left] == [False]
    assert await service.counts() == {service.current: OURS}


async def test_secret_read_before_its_key_was_dropped_still_opens(service: Service) -> None:
    """A connection test reads first and logs in seconds later."""
    server = await service.add("one")
    old = service.current
    held = await service.secret(server)
    await service.keys.rotate(OPERATOR)
    await service.keys.reseal(OPERATOR)
    await service.keys.drop(OPERATOR, old)
    await service.add("two")

    assert old not in service.ring.known().key_ids
    assert held.reveal() == "one"


async def test_replica_with_an_older_key_file_lacks_one_secret(
    service: Service, late: Service, tmp_path: Path
) -> None:
    old = await service.add("old")
    await service.keys.rotate(OPERATOR)
    new = await service.add("new")
    with pytest.raises(SecretUnreadable):
        await late.reveal(new)
    its_own = await late.add("its own")
    async with late.store.reading() as view:
        listed = [stored.id for stored in await all_of(view.mail_servers)]
    before = [await late.reveal(old), await late.reveal(its_own), await service.reveal(its_own)]
    await late.store.register_key()
    shutil.copy(tmp_path / "sealing-keys", tmp_path / "late")

    assert listed == [old, new, its_own]
    assert before == ["old", "its own", "its own"]
    assert await late.reveal(new) == "new"


async def test_a_replica_that_missed_a_drop_seals_nothing(
    service: Service, late: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = service.current
    first, second = await service.add("one"), await service.add("two")
    await service.keys.rotate(OPERATOR)
    await service.keys.reseal(OPERATOR)
    await service.keys.drop(OPERATOR, old)

    with pytest.raises(StoreUnavailable):
        await late.add("with the dropped key")
    with pytest.raises(WrongKey, match="was dropped"):
        await late.store.register_key()
    async with late.store.writing() as work:
        await work.mail_servers.delete(first)
    shutil.copy(tmp_path / "sealing-keys", tmp_path / "late")
    third = await late.add("three")

    assert f"The key {old} was dropped" in caplog.text
    assert [await service.reveal(one) for one in (second, third)] == ["two", "three"]
    assert await service.counts() == {service.current: 2 + 1 + OURS}  # removed servers have versions too


async def test_secrets_of_old_versions_are_resealed_too(service: Service) -> None:
    old = service.current
    server_id = await service.add("first")
    async with service.store.writing() as work:
        [first] = await all_of(work.mail_servers)
        await work.mail_servers.replace(server_id, first.server.with_secret(Secret("second")))
    await service.keys.rotate(OPERATOR)
    with pytest.raises(KeyNeeded):
        await service.keys.drop(OPERATOR, old)
    await service.keys.reseal(OPERATOR)
    await service.keys.drop(OPERATOR, old)

    async with service.store.reading() as view:
        [past] = await view.mail_servers.versions(server_id)

    assert past.server is not None
    assert past.server.secret == Secret("first")
    assert await service.counts() == {service.current: 2 + OURS}


async def test_running_service_without_its_file_opens_but_cannot_seal(service: Service, tmp_path: Path) -> None:
    server = await service.add("one")
    (tmp_path / "sealing-keys").rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable):
        await service.add("two")
    opened = await service.reveal(server)
    (tmp_path / "away").rename(tmp_path / "sealing-keys")

    assert opened == "one"
    assert await service.reveal(await service.add("two")) == "two"


async def test_a_damaged_row_fails_alone_and_is_reported(service: Service, database_url: str) -> None:
    """Case 18."""
    good, damaged, foreign = await service.add("good"), await service.add("bad"), await service.add("bad")
    for server, sealed in [(damaged, b"\x01damaged"), (foreign, b"\x01" + bytes(60))]:
        rows = update(mail_servers).where(mail_servers.c.id == server).values(sealed_secret=sealed)
        run(database_url, rows)
    await service.keys.rotate(OPERATOR)
    done = await service.keys.reseal(OPERATOR, batch=1)
    async with service.store.reading() as view:
        listed = [stored.id for stored in await all_of(view.mail_servers)]
    report = await service.keys.status(OPERATOR)

    assert listed == [good, damaged, foreign]
    assert await service.reveal(good) == "good"
    for server in (damaged, foreign):
        with pytest.raises(SecretUnreadable):
            await service.reveal(server)
    places = [f"mail_servers|{server}|sealed_secret" for server in (damaged, foreign)]
    assert done == ResealResult(1 + OURS, tuple(places))
    assert report.unreadable == places
    assert {key.key_id: key.secrets for key in report.keys if not key.is_available} == {"00" * 8: 1}


async def test_every_sealed_table_is_resealed_and_counted(service: Service, database_url: str) -> None:
    names = Table("named", MetaData(), Column("name", Text, primary_key=True), Column("sealed", LargeBinary))
    column = SealedColumn(names.c.name, names.c.sealed)
    old = service.ring.newest()
    values = [{"name": name, "sealed": old.seal(name, f"named|{name}|sealed")} for name in ("a", "ä", "z'")]
    database = engine.sync_engine(database_url)
    names.create(database)
    database.dispose()
    run(database_url, insert(names).values(values))
    await service.keys.rotate(OPERATOR)

    async with service.store.writing() as work:
        connection = work.mail_servers._connection  # noqa: SLF001  # the same transaction, with a longer list
        keys = SQLKeyRegistry(connection, service.ring, [*SEALED_COLUMNS, column])
        with pytest.raises(KeyNeeded, match="4 secrets need"):
            await keys.require_droppable(old.key_id)
        done, position = await keys.reseal(None, 2)
        while position is not None:
            more, position = await keys.reseal(position, 2)
            done += more
        await keys.require_droppable(old.key_id)
        report = await keys.report()

    assert done == ResealResult(3 + OURS)
    assert {key.key_id: key.secrets for key in report.keys} == {old.key_id: 0, service.current: 3 + OURS}
    assert report.unreadable == []


def test_every_sealed_column_of_the_schema_is_listed() -> None:
    named = {column for table in metadata.tables.values() for column in table.c if "sealed" in column.name}

    assert named - {encryption_keys.c.sealed_check} == {column.sealed for column in SEALED_COLUMNS}


@pytest.mark.parametrize("known_by", ["its check", "its secrets alone"])
async def test_wrong_keys_are_refused_before_any_write(
    service: Service, database_url: str, tmp_path: Path, known_by: str
) -> None:
    """Case 18."""
    await service.add("one")
    if known_by != "its check":
        run(database_url, delete(encryption_keys))
    absent, wrong = LiveKeys(KeyFile(tmp_path / "absent")), LiveKeys(KeyFile(tmp_path / "wrong"))
    wrong.file.create()
    before = run(database_url, select(encryption_keys))

    require_matching_keys(database_url, service.ring)
    with pytest.raises(WrongKey, match="There is no key file"):
        require_matching_keys(database_url, absent)
    with pytest.raises(WrongKey, match="sealed with another key"):
        require_matching_keys(database_url, wrong)
    assert not (tmp_path / "absent").exists()
    assert run(database_url, select(encryption_keys)) == before


async def test_a_missing_key_that_secrets_need_is_named(
    service: Service, database_url: str, tmp_path: Path
) -> None:
    """Case 18."""
    before = shutil.copy(tmp_path / "sealing-keys", tmp_path / "before")
    await service.add("old")
    new = await service.keys.rotate(OPERATOR)
    await service.add("new")

    with pytest.raises(WrongKey, match=f"The key {new} is missing"):
        require_matching_keys(database_url, LiveKeys(KeyFile(Path(before))))
    require_matching_keys(database_url, service.ring)


async def test_damaged_signing_key_fails_alone_and_can_be_dropped(
    service: Service, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    signing = ManageSigningKeys(service.store, make)
    await signing.ensure()
    [(old, _)] = await signing.list()
    new = await signing.rotate(OPERATOR)
    run(database_url, update(service_keys).where(service_keys.c.name == f"signing:{old}").values(sealed=b"\0"))

    assert [key for key, _ in await signing.list()] == [new]
    assert f"signing:{old} does not open" in caplog.text
    await service.store.register_key()
    await signing.drop(OPERATOR, old)
    with pytest.raises(SigningKeyNotFound):
        await signing.drop(OPERATOR, old)


async def test_a_damaged_audit_key_stops_the_start(service: Service, database_url: str) -> None:
    run(database_url, update(service_keys).where(service_keys.c.name == "audit").values(sealed=b"\0"))

    with pytest.raises(WrongKey, match="key of the audit log"):
        await service.store.register_key()


def test_key_is_registered_once_and_never_after_its_drop(database_url: str) -> None:
    first, both, other = Sealer(KEY), Sealer(KEY, OTHER_KEY), Sealer(OTHER_KEY)
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        register_key(connection, first)
        once = key_checks(connection)
        register_key(connection, first)
        again = key_checks(connection)
        with pytest.raises(WrongKey, match="sealed with another key"):
            register_key(connection, other)
        register_key(connection, both)
        register_key(connection, other)
        followed = key_checks(connection)
        connection.execute(update(encryption_keys).values(sealed_check=DROPPED_KEY_CHECK))
        with pytest.raises(WrongKey) as dropped:
            register_key(connection, first)
    database.dispose()

    assert set(once) == {first.key_id}
    assert again == once
    assert set(followed) == {first.key_id, other.key_id}
    assert str(dropped.value) == (
        f"The key {first.key_id} was dropped and nothing may be sealed with it; put a newer key last."
    )


@pytest.mark.usefixtures("service")
def test_a_database_with_secrets_needs_its_keys(database_url: str) -> None:
    assert needs_keys(database_url)


def test_a_new_database_gets_a_new_key(empty_url: str, tmp_path: Path) -> None:
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys"))
    require_matching_keys(empty_url, ring)
    require_matching_keys(empty_url, ring)

    assert len(ring.newest().key_ids) == 1
    assert not (tmp_path / "data").exists()


def test_an_empty_database_file_is_a_new_database(empty_sqlite_url: str, tmp_path: Path) -> None:
    database_url.sqlite_file(empty_sqlite_url).parent.mkdir()
    database_url.sqlite_file(empty_sqlite_url).touch(0o600)
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys"))
    require_matching_keys(empty_sqlite_url, ring)

    assert len(ring.newest().key_ids) == 1


def test_given_key_file_is_not_created_for_a_database(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnusable, match="No such file"):
        require_matching_keys(empty_url, LiveKeys(KeyFile(tmp_path / "absent", given=True)))

    assert list(tmp_path.glob("absent*")) == []
