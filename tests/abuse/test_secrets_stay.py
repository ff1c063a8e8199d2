"""A stored secret is in no response and in no file."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store import database_url, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.canary import Canary
from support.databases import KEY
from support.request_bodies import checkmarx, oracle, oracle_oauth2
from support.service import MAIL_SERVER, SMTP_SETTINGS, Caller

WRITES: dict[str, tuple[str, str, Any]] = {
    "oracle": ("PUT", MAIL_SERVER, oracle),
    "oracle oauth2": ("PUT", MAIL_SERVER, oracle_oauth2),
    "checkmarx create": ("POST", SMTP_SETTINGS, checkmarx),
    "checkmarx replace": ("PUT", f"{SMTP_SETTINGS}/1", checkmarx),
}
VIEWS = [MAIL_SERVER, SMTP_SETTINGS, f"{SMTP_SETTINGS}/1"]
WORDS = ("password", "secret")


@pytest.mark.parametrize("write", WRITES)
async def test_no_answer_after_a_write_has_its_secret(api: Caller, canary: Canary, write: str) -> None:
    """Case 13."""
    method, path, body = WRITES[write]
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one"))

    written = await api.send(method, path, json=body(canary.secret))
    shown = [await api.send("GET", view) for view in VIEWS]
    others = [await api.send(way, view) for way in ("HEAD", "OPTIONS", "TRACE") for view in VIEWS]
    unread = [await api(who).send("GET", view) for who in (None, "tester", "stranger") for view in VIEWS]

    assert written.is_success
    assert [answer.status_code for answer in shown] == [200, 200, 200]
    assert {answer.headers["Cache-Control"] for answer in shown} == {"no-store"}
    for answer in [written, *shown, *others, *unread]:
        canary.assert_nowhere(answer.content, repr(answer.headers.raw))


async def test_a_secret_is_masked_or_absent(api: Caller, canary: Canary) -> None:
    """Case 13."""
    shown = []
    for body in (oracle(canary.secret), oracle_oauth2(canary.secret)):
        await api.send("PUT", MAIL_SERVER, json=body)
        shown.extend([(await api.send("GET", view)).json() for view in VIEWS])

    values = [value for view in shown for value in secrets_in(view)]

    assert values == ["*" * 10] * 2


def secrets_in(view: Any) -> list[object]:
    """The values of all members that are named like a secret."""
    if isinstance(view, list):
        return [found for one in view for found in secrets_in(one)]
    if not isinstance(view, dict):
        return []
    own = [
        value
        for key, value in view.items()
        if isinstance(value, str) and any(word in key.lower() for word in WORDS)
    ]
    own = [value for value in own if not value.endswith("_AUTH")]
    return [*own, *(found for value in view.values() for found in secrets_in(value))]


async def test_database_journals_and_backups_hold_no_secret(sqlite_url: str, canary: Canary) -> None:
    """Case 20."""
    store, file = SQLStore(sqlite_url, Sealer(KEY)), database_url.sqlite_file(sqlite_url)
    looks = []

    async def change(work: Any, step: str) -> None:
        match step:
            case "add":
                await work.mail_servers.add(with_password(canary.secret))
            case "replace":
                await work.mail_servers.replace(1, with_password("another one"))
            case _:
                await work.mail_servers.delete(1)

    for step in ("add", "replace", "delete"):
        async with store.writing() as work:
            await change(work, step)
            canary.assert_nowhere(file)  # with the journal of the open transaction
        back_up(file, file.with_name(f"mailsettings.db.{step}.backup"))
        canary.assert_nowhere(file.parent)
        looks.append(sorted(path.name for path in file.parent.iterdir()))
    await store.close()

    canary.assert_nowhere(file.parent)
    assert len(looks[-1]) >= 4


@pytest.mark.parametrize("umask", [0, 0o022, 0o077], ids=oct)
async def test_sqlites_extra_files_are_private_during_a_transaction(empty_sqlite_url: str, umask: int) -> None:
    """Case 20. The journal exists only as long as its transaction, and holds earlier pages."""
    with under(umask):
        migrations.migrate(empty_sqlite_url)
        store, file = SQLStore(empty_sqlite_url, Sealer(KEY)), database_url.sqlite_file(empty_sqlite_url)
        async with store.writing() as work:
            await work.mail_servers.add(with_password("some password"))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
        await store.close()

    assert len(modes) >= 2
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@contextmanager
def under(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def with_password(password: str) -> MailServer:
    login = PasswordAuthentication("u", Secret(password))
    return MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@b"), login)


def back_up(file: Path, to: Path) -> None:
    """As an operator would, by SQLite's own means."""
    source, copy = sqlite3.connect(file), sqlite3.connect(to)
    source.backup(copy)
    source.close()
    copy.close()
