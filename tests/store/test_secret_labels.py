"""The label of a stored secret stays with it: through versions, other keys, backups and older programs."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.keys import ManageEncryptionKeys
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.backups import Place

SERVER = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"))
TABLES = ("mail_servers", "mail_server_versions")


@pytest.fixture
async def place(database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(database_url, tmp_path)
    yield place
    await place.store.close()


def given(text: str) -> Replacement:
    return Replacement(with_login(Secret(text)))


KEPT = SecretInput.KEPT


def with_login(secret: Secret | None) -> MailServer:
    return MailServer(
        SERVER.host, SERVER.port, SERVER.security, SERVER.sender, PasswordAuthentication("scans", secret)
    )


async def labels(place: Place) -> list[str]:
    """The label in each version, the newest first."""
    versions = await MailServerHistory(place.store).versions(OPERATOR, 1)
    return [each.server.secret.label for each in versions if each.server and each.server.secret]


async def make_three_versions(place: Place) -> None:
    keep = ManageMailServers(place.store)
    await keep.create(OPERATOR, given("one"))
    await keep.replace(OPERATOR, 1, given("one"))
    await keep.replace(OPERATOR, 1, Replacement(with_login(None), KEPT))


def forget_labels(place: Place) -> None:
    """Leave the columns as a program without labels does."""
    place.sql(*(text(f"UPDATE {table} SET secret_label = NULL") for table in TABLES))


async def test_a_label_is_new_for_each_given_secret_only(place: Place) -> None:
    await make_three_versions(place)

    third, second, first = await labels(place)

    assert third == second != first


async def test_a_restored_version_restores_its_label(place: Place) -> None:
    await make_three_versions(place)
    await MailServerHistory(place.store).restore(OPERATOR, 1, 1)

    fourth, *_, first = await labels(place)

    assert fourth == first


@pytest.mark.parametrize("by", ["this program", "a program without labels"])
async def test_labels_survive_resealing(place: Place, by: str) -> None:
    await make_three_versions(place)
    if by != "this program":
        forget_labels(place)
    before = await labels(place)
    keys = ManageEncryptionKeys(place.store, place.ring)
    await keys.rotate(OPERATOR)
    await keys.reseal(OPERATOR)

    assert await labels(place) == before


@pytest.mark.parametrize("by", ["this program", "a program without labels"])
async def test_labels_survive_a_backup(place: Place, by: str, migrated_sqlite: Path, tmp_path: Path) -> None:
    await make_three_versions(place)
    if by != "this program":
        forget_labels(place)
    before = await labels(place)
    await place.make(tmp_path / "backup")
    (tmp_path / "other").mkdir()
    other = Place(f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / 'other' / 'db')}", tmp_path / "other")
    await other.restore(tmp_path / "backup")
    after = await labels(other)
    await other.store.close()

    assert after == before


async def test_secrets_without_a_label_are_told_apart_for_good(place: Place) -> None:
    keep = ManageMailServers(place.store)
    await keep.create(OPERATOR, given("one"))
    await keep.replace(OPERATOR, 1, given("one"))
    forget_labels(place)
    second, first = await labels(place)
    await keep.replace(OPERATOR, 1, Replacement(with_login(None), KEPT))

    assert await labels(place) == [second, second, first]
    assert second != first
