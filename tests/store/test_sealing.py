"""Secrets at rest: unreadable without the key, and of no use in another place."""

import base64
import hashlib
import os
import sqlite3
import stat
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, text, update

from mailsettings.domain.errors import SecretUnreadable, StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store import database_url, engine
from mailsettings.store.database import SQLStore
from mailsettings.store.database_errors import StatementRejected
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.encryption.sealing import Sealer, key_id, key_id_of, prefix_of
from mailsettings.store.tables import encryption_keys, mail_servers

from support.databases import KEY, all_of

CANARY = "canary-2e6b7c11"
OTHER_KEY = bytes(32)


def with_password(password: str) -> MailServer:
    login = PasswordAuthentication("u", Secret(password))
    return MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@b"), login)


async def add(store: SQLStore, password: str = CANARY) -> int:
    async with store.writing() as work:
        return await work.mail_servers.add(with_password(password))


async def reveal(store: SQLStore, server_id: int) -> str:
    async with store.reading() as view:
        stored = await view.mail_servers.find(server_id)
    assert stored is not None
    assert stored.server.secret is not None
    return stored.server.secret.reveal()


def test_a_sealed_text_opens_only_in_its_place() -> None:
    sealed = Sealer(KEY).seal(CANARY, "here")

    assert Sealer(KEY).open(sealed, "here") == CANARY
    for sealer, content, place in [
        (Sealer(KEY), sealed, "there"),
        (Sealer(OTHER_KEY), sealed, "here"),
        (Sealer(KEY), sealed[:-1], "here"),
        (Sealer(KEY), sealed[:-1] + bytes([sealed[-1] ^ 1]), "here"),
        (Sealer(KEY), b"", "here"),
        (Sealer(KEY), sealed[:12], "here"),
    ]:
        with pytest.raises(SecretUnreadable):
            sealer.open(content, place)


def test_a_sealed_text_begins_with_its_format_and_key() -> None:
    """The layout on the disk, spelled out once more: what older versions sealed has to open."""
    sealer = Sealer(OTHER_KEY, KEY)
    sealed = sealer.seal(CANARY, "here")
    key = hashlib.sha256(b"mailsettings key id" + KEY).digest()[:8]

    assert sealer.key_id == key_id(KEY) == key.hex()
    assert sealer.key_ids == {key_id(KEY), key_id(OTHER_KEY)}
    assert sealed[:9] == b"\x01" + key == prefix_of(key.hex())
    assert AESGCM(KEY).decrypt(sealed[9:21], sealed[21:], f"here|{key.hex()}".encode()) == CANARY.encode()


def test_bound_text_opens_only_with_the_same_associated_data() -> None:
    """The layout on the disk, as above."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(CANARY, "here", "[1]")
    aad = f"here|{hashlib.sha256(b'[1]').hexdigest()}|{key_id(KEY)}".encode()

    assert sealed[:9] == b"\x02" + bytes.fromhex(key_id(KEY)) == prefix_of(key_id(KEY), bound=True)
    assert AESGCM(KEY).decrypt(sealed[9:21], sealed[21:], aad) == CANARY.encode()
    assert sealer.open(sealed, "here", "[1]") == CANARY
    for place, associated_data in [("here", "[2]"), ("here", ""), ("there", "[1]")]:
        with pytest.raises(SecretUnreadable):
            sealer.open(sealed, place, associated_data)
    with pytest.raises(SecretUnreadable):
        sealer.open(b"\x01" + sealed[1:], "here", "[1]")


def test_a_text_sealed_by_an_older_version_opens() -> None:
    assert Sealer(KEY).open(Sealer(KEY).seal(CANARY, "here"), "here", "[1]") == CANARY


def test_other_bytes_name_no_key() -> None:
    for known in (b"\x01", b"\x02"):
        assert key_id_of(known + b"k" * 8) == (b"k" * 8).hex()
    for foreign in (b"", b"\x01", b"\x01" + b"k" * 7, b"\x03" + b"k" * 40):
        assert key_id_of(foreign) is None


def test_an_opening_only_sealer_still_asks_for_later_keys() -> None:
    opening = Sealer(KEY, later=lambda: Sealer(OTHER_KEY)).opening_only()

    assert opening.known() is opening.newest() is opening
    assert opening.open(Sealer(KEY).seal("one", "here"), "here") == "one"
    assert opening.open(Sealer(OTHER_KEY).seal("two", "here"), "here") == "two"
    with pytest.raises(StoreUnavailable):
        opening.seal("three", "here")


def test_sealed_bytes_that_are_no_text_are_unreadable() -> None:
    nonce = bytes(12)
    sealed = prefix_of(key_id(KEY)) + nonce + AESGCM(KEY).encrypt(nonce, b"\xff", f"here|{key_id(KEY)}".encode())

    with pytest.raises(SecretUnreadable):
        Sealer(KEY).open(sealed, "here")


def test_the_same_text_is_never_sealed_alike_twice() -> None:
    assert len({Sealer(KEY).seal(CANARY, "here") for _ in range(100)}) == 100


async def test_a_secret_moved_to_another_row_does_not_open(store: SQLStore, database_url: str) -> None:
    """Case 17."""
    first, second = await add(store), await add(store, "another one")
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        sealed = connection.execute(
            select(mail_servers.c.sealed_secret).where(mail_servers.c.id == first)
        ).scalar_one()
        connection.execute(update(mail_servers).where(mail_servers.c.id == second).values(sealed_secret=sealed))
    database.dispose()

    async with store.reading() as view:
        listed = await all_of(view.mail_servers)

    assert len(listed) == 2
    assert await reveal(store, first) == CANARY
    with pytest.raises(SecretUnreadable):
        await reveal(store, second)


CHANGES: dict[str, dict[str, object]] = {
    "host": {"host": "evil.example.org"},
    "port": {"port": 2525},
    "security": {"security": "none"},
    "certificates": {"certificates": "another"},
    "authentication": {"authentication": "oauth2", "client_id": "another", "tenant": "another"},
    "username": {"username": "eve"},
    "client_id": {"client_id": "another"},
    "tenant": {"tenant": "another"},
}


@pytest.mark.parametrize("changed", CHANGES)
async def test_a_secret_does_not_open_for_another_destination(
    store: SQLStore, database_url: str, changed: str
) -> None:
    """Cases 15 and 17. An attacker who can write the database cannot redirect a password to another host."""
    server_id = await add(store)
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        columns = [mail_servers.c[name] for name in CHANGES[changed]]
        before = dict(connection.execute(select(*columns)).mappings().one())
        connection.execute(update(mail_servers).values(CHANGES[changed]))
    async with store.reading() as view:
        unreadable = (await view.encryption_keys.report()).unreadable
        [stored] = await all_of(view.mail_servers)
    with pytest.raises(SecretUnreadable):
        _ = stored.server.secret and stored.server.secret.reveal()
    with database.begin() as connection:
        connection.execute(update(mail_servers).values(before))
    database.dispose()

    assert unreadable == [f"mail_servers|{server_id}|sealed_secret"]
    assert await reveal(store, server_id) == CANARY


async def test_resealing_binds_secrets_of_an_older_version(store: SQLStore, database_url: str) -> None:
    server_id = await add(store)
    old = Sealer(KEY).seal(CANARY, f"mail_servers|{server_id}|sealed_secret")
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        connection.execute(update(mail_servers).values(sealed_secret=old))
    before = await reveal(store, server_id)
    async with store.writing() as work:
        done, _ = await work.encryption_keys.reseal(None, 10)
    with database.begin() as connection:
        sealed = connection.execute(select(mail_servers.c.sealed_secret)).scalar_one()
    database.dispose()

    assert (before, done.count, sealed[:1]) == (CANARY, 1, b"\x02")
    assert await reveal(store, server_id) == CANARY


async def test_a_start_with_a_known_key_waits_for_no_writer(store: SQLStore, database_url: str) -> None:
    await store.register_key()
    restarted = SQLStore(database_url, Sealer(KEY))
    try:
        async with store.writing():
            await restarted.register_key()
    finally:
        await restarted.close()


async def test_database_accepts_only_the_key_it_was_written_with(store: SQLStore, database_url: str) -> None:
    """Case 18."""
    await store.register_key()
    await store.register_key()
    await add(store)
    other = SQLStore(database_url, Sealer(OTHER_KEY))

    with pytest.raises(WrongKey):
        await other.register_key()

    await other.close()
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        known = connection.execute(select(encryption_keys.c.key_id)).scalars().all()
    database.dispose()
    assert known == [Sealer(KEY).key_id]


def _forms(secret: str) -> list[bytes]:
    """As it is, and in base64 at each of its three alignments."""
    encoded = [base64.b64encode(b"x" * shift + secret.encode())[4:-4] for shift in range(3)]
    return [secret.encode(), *encoded]


async def test_no_database_file_holds_a_secret_in_clear(
    sqlite_url: str,
) -> None:
    """Case 20."""
    store = SQLStore(sqlite_url, Sealer(KEY))
    found: list[bytes] = []

    def look() -> None:
        folder = database_url.sqlite_file(sqlite_url).parent
        content = b"".join(path.read_bytes() for path in folder.iterdir())
        found.extend(form for form in _forms(CANARY) if form in content)

    server_id = await add(store)
    look()
    async with store.writing() as work:
        await work.mail_servers.replace(server_id, with_password("another one"))
    look()
    async with store.writing() as work:
        await work.mail_servers.delete(server_id)
    look()
    await store.close()

    assert found == []


async def test_old_sealed_secrets_do_not_stay_in_free_pages(sqlite_url: str) -> None:
    """Case 20."""
    store = SQLStore(sqlite_url, Sealer(KEY))
    ids = [await add(store, f"{CANARY}{number}" * 8) for number in range(20)]
    file = database_url.sqlite_file(sqlite_url)
    with sqlite3.connect(file) as connection:
        sealed = [row[0] for row in connection.execute("SELECT sealed_secret FROM mail_servers")]
    connection.close()
    for server_id in ids:
        async with store.writing() as work:
            await work.mail_servers.delete(server_id)
            await work.mail_servers.forget_removed(0)
    await store.close()

    assert len(sealed) == 20
    assert [one for one in sealed if one[-32:] in file.read_bytes()] == []


async def test_the_files_belong_to_their_owner_whatever_the_umask(empty_sqlite_url: str) -> None:
    """Case 20."""
    before = os.umask(0)
    try:
        from mailsettings.store import migrations  # noqa: PLC0415  # under this umask from its first step

        migrations.migrate(empty_sqlite_url)
        store = SQLStore(empty_sqlite_url, Sealer(KEY))
        await add(store)
        folder = database_url.sqlite_file(empty_sqlite_url).parent
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        await store.close()
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_database_error_does_not_repeat_the_values(store: SQLStore) -> None:
    async def break_a_rule() -> Any:
        async with store.writing() as work:
            await work.mail_servers._connection.execute(  # noqa: SLF001  # bypasses every check of the program
                mail_servers.insert().values(host=CANARY, port=0)
            )

    with pytest.raises(StatementRejected) as failed:
        await break_a_rule()

    assert CANARY not in "".join(traceback.format_exception(failed.value))


async def test_sqlite_is_durable_before_it_acknowledges(sqlite_url: str) -> None:
    """Case 39, as far as settings of the database go."""
    store = SQLStore(sqlite_url, Sealer(KEY))
    async with store.writing() as work:
        connection = work.mail_servers._connection  # noqa: SLF001  # the pragmas of this very connection
        journal = (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
        synchronous = (await connection.execute(text("PRAGMA synchronous"))).scalar_one()
        deletes = (await connection.execute(text("PRAGMA secure_delete"))).scalar_one()
    await store.close()

    assert (journal, synchronous) in {("wal", 2), ("delete", 3)}
    assert deletes == 1


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        *((version, False) for version in [(3, 40, 1), (3, 44, 5), (3, 50, 6), (3, 51, 2), (3, 52, 0)]),
        *((version, True) for version in [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)]),
    ],
)
def test_wal_needs_a_sqlite_without_the_reset_bug(version: tuple[int, int, int], sound: bool) -> None:
    assert engine.is_wal_safe(version) is sound
