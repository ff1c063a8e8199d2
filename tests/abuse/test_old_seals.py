"""Secrets in the format of version 0.1.0, which bound them to a row and to no destination, put back by hand.

The attacker can write the database, has an old copy of it, and redirects a stored password to another host.
"""

import shutil
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.tables import mail_server_versions, mail_servers
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.keys import ManageEncryptionKeys

from support.backups import Place
from support.databases import KEY

CANARY = "canary-5ea1ed"
EVIL = "evil.example.org"
SERVER = MailServer(
    "mail.example.org",
    587,
    ConnectionSecurity.STARTTLS,
    Sender("a@example.org"),
    PasswordAuthentication("u", Secret(CANARY)),
)


class Upgraded(Place):
    """A database of version 0.1.0 after its upgrade: one key, in the file of that version, and one secret."""

    def __init__(self, url: str, folder: Path) -> None:
        (folder / "sealing-key").write_bytes(KEY)
        (folder / "sealing-key").chmod(0o600)
        super().__init__(url, folder)
        self.keys = ManageEncryptionKeys(self.store, self.ring)

    async def begin(self) -> None:
        self.server_id = await self.add(SERVER)
        self.old = Sealer(KEY).seal(CANARY, f"mail_servers|{self.server_id}|sealed_secret")
        self.sql(update(mail_servers).values(sealed_secret=self.old))

    def plant(self) -> None:
        self.sql(update(mail_servers).values(sealed_secret=self.old, host=EVIL))

    async def reveal(self, store: SQLStore | None = None) -> str:
        async with (store or self.store).reading() as view:
            stored = await view.mail_servers.find(self.server_id)
        assert stored is not None
        assert stored.server.secret is not None
        return stored.server.secret.reveal()


@pytest.fixture
async def upgraded(database_url: str, tmp_path: Path) -> AsyncIterator[Upgraded]:
    upgraded = Upgraded(database_url, tmp_path)
    await upgraded.begin()
    yield upgraded
    await upgraded.store.close()


async def test_until_everything_is_resealed_an_old_secret_opens(upgraded: Upgraded) -> None:
    assert await upgraded.reveal() == CANARY


async def test_after_that_one_that_is_put_back_opens_nowhere(upgraded: Upgraded, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "sealing-keys", before=tmp_path / "sealing-key")
    running = SQLStore(upgraded.url, LiveKeys(file))
    before = await upgraded.reveal(running)  # another process, which has read the file of keys by now
    resealed = await upgraded.keys.reseal(OPERATOR)
    after = await upgraded.reveal(running)
    upgraded.plant()

    for store in (upgraded.store, running):
        with pytest.raises(SecretUnreadable):
            await upgraded.reveal(store)
    await running.close()
    assert (before, after) == (CANARY, CANARY)
    assert (resealed.unreadable, resealed.unmarked) == ((), None)


async def test_it_is_reported_and_not_sealed_anew(upgraded: Upgraded) -> None:
    await upgraded.keys.reseal(OPERATOR)
    upgraded.plant()
    place = f"mail_servers|{upgraded.server_id}|sealed_secret"

    assert list((await upgraded.keys.status(OPERATOR)).unreadable) == [place]
    assert (await upgraded.keys.reseal(OPERATOR)).unreadable == (place,)
    assert (await upgraded.keys.rotate(OPERATOR)) is not None
    assert (await upgraded.keys.reseal(OPERATOR)).unreadable == (place,)
    assert upgraded.sql(select(mail_servers.c.sealed_secret))[0]["sealed_secret"] == upgraded.old


async def test_nor_does_it_come_back_as_an_earlier_version(upgraded: Upgraded) -> None:
    async with upgraded.store.writing() as work:
        await work.mail_servers.replace(upgraded.server_id, SERVER)
    await upgraded.keys.reseal(OPERATOR)
    upgraded.sql(update(mail_server_versions).values(sealed_secret=upgraded.old, host=EVIL))

    with pytest.raises(SecretUnreadable):
        await MailServerHistory(upgraded.store).restore(OPERATOR, upgraded.server_id, None)


async def test_nor_by_a_backup_and_its_restore(upgraded: Upgraded, tmp_path: Path, migrated_sqlite: Path) -> None:
    await upgraded.keys.reseal(OPERATOR)
    upgraded.plant()
    (tmp_path / "target").mkdir()
    shutil.copyfile(migrated_sqlite, tmp_path / "target.db")
    target = Place(f"sqlite:///{tmp_path / 'target.db'}", tmp_path / "target")
    made = await upgraded.make(tmp_path / "backup")
    restored = await target.restore(tmp_path / "backup")
    await target.store.close()

    place = f"mail_servers|{upgraded.server_id}|sealed_secret"
    assert list(made.unreadable) == list(restored.unreadable) == [place]


async def test_an_application_id_marks_the_database_file(upgraded: Upgraded, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    key = b64encode(KEY).decode()
    mounted.write_text(f"{key} # ours\n")
    mounted.chmod(0o600)
    ring = LiveKeys(KeyFile(mounted, given=True))
    store = SQLStore(upgraded.url, ring)
    done = await ManageEncryptionKeys(store, ring).reseal(OPERATOR)
    upgraded.plant()
    opened = await upgraded.reveal(store)
    mounted.write_text(f"{key} bound # ours\n")

    assert (done.unmarked, opened) == (str(mounted), CANARY)
    with pytest.raises(SecretUnreadable):
        await upgraded.reveal(store)
    assert (await ManageEncryptionKeys(store, ring).reseal(OPERATOR)).unmarked is None
    await store.close()
