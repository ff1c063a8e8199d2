"""Databases with keys of their own, to make backups of and to restore into, by a passphrase that costs little."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, Table, insert, select

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Credentials, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.backup import CopyResult
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.values import Secret
from mailsettings.store import engine
from mailsettings.store.backup.contents import BACKED_UP, RowFormat
from mailsettings.store.backup.file_format import Cost
from mailsettings.store.backup.restore import verified_backup
from mailsettings.store.backup.snapshot import Snapshot
from mailsettings.store.backup.writer import NewBackup, new_file
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, Sealer
from mailsettings.store.relay.tables import (
    device_rates,
    device_test_logins,
    device_uses,
    devices,
    message_recipients,
    messages,
    relay_places,
    relay_waiting,
    relays,
)
from mailsettings.store.tables import (
    idempotency_keys,
    known_networks,
    leases,
    login_failures,
    mail_server_versions,
    probe_admissions,
    watch_states,
    webhook_events,
)
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import AuditLogVerdict, ReadAuditLog
from mailsettings.use_cases.backups import ManageBackups

CHEAP = Cost(memory=8, passes=1, lanes=1)
PASSPHRASE = Secret("correct horse battery staple")
NOW = 1_795_000_000.125
"""Seconds, of which a float keeps every bit."""

DIRECTLY: dict[Table, dict[str, object]] = {
    mail_server_versions: {
        "id": 70,
        "server_id": 900,
        "version": 4,
        "is_default": False,
        "removed": True,
        "changed_at": datetime(2026, 11, 21, 14, 0, 0, 1, tzinfo=UTC),
    },
    watch_states: {
        "server_id": 1,
        "version": 1,
        "works": False,
        "stage": "connect",
        "code": "connection_refused",
        "since": NOW,
        "checked_at": NOW + 1,
        "certificate_ends_at": None,
        "told": '["ü"]',
    },
    login_failures: {"subject": "s", "failures": 3, "last_at": NOW, "blocked_until": NOW},
    known_networks: {"subject": "s", "account_hash": "a", "last_at": NOW},
    idempotency_keys: {"key_hash": "k", "request_mac": b"m", "created_at": NOW},
    probe_admissions: {"id": "p", "principal": "alice", "begun_at": NOW},
    leases: {"name": "watch", "holder": "me", "until": NOW},
    devices: {
        "id": 7,
        "version": 2,
        "name": "scanner-3",
        "description": "ü",
        "enabled": True,
        "secret_hash": bytes(range(32)),
        "secret_stored_at": datetime(2026, 11, 21, 14, tzinfo=UTC),
        "senders": '["scan@example.com"]',
        "from_domains": "[]",
        "networks": '["10.1.0.0/16"]',
        "trusts_network": False,
        "mail_server_id": 1,
        "sends_as_stored_sender": True,
        "sends_null_sender": False,
        "messages_per_minute": 30,
        "max_recipients": 100,
        "max_message_bytes": None,
        "created_at": datetime(2026, 11, 21, 14, tzinfo=UTC),
        "created_by": "alice",
        "changed_at": datetime(2026, 11, 21, 14, tzinfo=UTC),
        "changed_by": None,
    },
    device_uses: {"device_id": 7, "last_used_at": NOW, "last_peer": "10.1.2.3"},
    device_rates: {"device_id": 7, "minute": 29_916_666, "used": 3},
    device_test_logins: {"name": "t", "device_id": 7, "secret_hash": b"s", "expires_at": NOW},
    messages: {
        "id": "m",
        "at": datetime(2026, 11, 21, 14, tzinfo=UTC),
        "device_id": 7,
        "device": "scanner-3",
        "peer": "10.1.2.3",
        "sender": "scan@example.com",
        "size": 1,
        "result": "delivered",
        "code": 250,
        "words": "",
        "milliseconds": 1,
    },
    message_recipients: {"log_id": "m", "position": 0, "address": "a@example.com", "accepted": True},
    relay_places: {"key": "k", "place": 0, "holder": "me", "until": NOW},
    relay_waiting: {"key": "k", "holder": "me", "until": NOW},
    relays: {"holder": "me", "listeners": "[]", "until": NOW},
    webhook_events: {"id": "w", "created_at": NOW, "body": "{}", "attempts": 0, "next_at": NOW},
}
"""A row of each table that tests write to by plain SQL."""


@contextmanager
def new_backup(path: Path, passphrase: Secret) -> Iterator[NewBackup]:
    """As the real one, but cheap."""
    with new_file(path) as file:
        yield NewBackup(file, passphrase, CHEAP)


class Place:
    """A migrated database, a ring of keys, and the use case over both."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.ring = LiveKeys(KeyFile(folder / "sealing-keys", before=folder / "sealing-key"))
        self.ring.file.create()
        self.store = SQLStore(url, self.ring)
        self.backups = ManageBackups(self.store, self.snapshot, new_backup)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.url, self.ring.file)

    async def make(self, path: Path) -> CopyResult:
        return await self.backups.make(OPERATOR, path, PASSPHRASE)

    async def restore(self, path: Path) -> CopyResult:
        with verified_backup(path, PASSPHRASE) as backup:
            return await self.backups.restore(OPERATOR, backup)

    async def add(self, server: MailServer) -> int:
        async with self.store.writing() as work:
            return await work.mail_servers.add(server)

    async def verify(self) -> AuditLogVerdict:
        return await ReadAuditLog(self.store).verify(OPERATOR)

    def sql(self, *statements: Any) -> list[Any]:
        """By plain SQL, past the store; the rows of the last statement, if it has any."""
        database = engine.sync_engine(self.url)
        with database.begin() as connection:
            for statement in statements:
                done = connection.execute(statement)
            rows = list(done.mappings()) if done.returns_rows else []
        database.dispose()
        return rows

    def contents(self, entries: int) -> dict[str, list[dict[str, Any]]]:
        """What a backup has to carry over, secrets opened; of the log so many entries, and not what follows."""
        found = {table.name: self._rows(table) for table in BACKED_UP}
        found["audit_entries"] = found["audit_entries"][:entries]
        del found["audit_head"]
        return found

    def _rows(self, table: Table) -> list[dict[str, Any]]:
        form = RowFormat(table)
        rows = self.sql(_all(table))
        shown = [dict(zip(form.columns, json.loads(form.line(row.values())), strict=True)) for row in rows]
        for column in SEALED_COLUMNS:
            if column.table is table:
                for row, one in zip(rows, shown, strict=True):
                    place, associated_data = (
                        column.place(row[column.sealed_for.name]),
                        column.associated_data_in(row),
                    )
                    one[column.sealed.name] = _opened(
                        self.ring.newest(), row[column.sealed.name], place, associated_data
                    )
        return shown


def _all(table: Table) -> Select[Any]:
    return select(table).order_by(*table.primary_key)


def _opened(sealer: Sealer, sealed: bytes | None, place: str, associated_data: str) -> str | None:
    try:
        return None if sealed is None else sealer.open(sealed, place, associated_data)
    except SecretUnreadable:
        return "unreadable"


def with_password(password: str, host: str = "mail.example.org") -> MailServer:
    login = PasswordAuthentication("ü", Secret(password))
    return MailServer(host, 587, ConnectionSecurity.STARTTLS, Sender("a@b", 'Sënder "\\'), login)


async def fill(place: Place, password: str, password_hash: str = "a hash") -> None:
    """Rows in every table, ids of deleted rows, and secrets under two keys."""
    first = await place.add(with_password(f"before {password}"))
    async with place.store.writing() as work:
        await work.mail_servers.replace(first, with_password(password))
    place.ring.add()
    oauth2 = OAuth2ClientCredentials("u", "client", "tenant.example", Secret(f"{password} of OAuth2"))
    trust = CustomTrust("-----BEGIN CERTIFICATE-----\n")
    await place.add(
        MailServer("oauth2.example.org", 465, ConnectionSecurity.IMPLICIT_TLS, Sender("a@b"), oauth2, trust)
    )
    await place.add(MailServer("none.example.org", 25, ConnectionSecurity.NONE, Sender("a@b")))
    gone = await place.add(with_password("gone"))
    async with place.store.writing() as work:
        await work.mail_servers.delete(gone)
        await _fill_more(work, password_hash)
    last = DIRECTLY[mail_server_versions] | {"id": 71, "version": 5}
    place.sql(
        *(insert(table).values(row) for table, row in DIRECTLY.items()),
        insert(mail_server_versions).values(last),
        mail_server_versions.delete().where(mail_server_versions.c.id == 71),
    )


async def _fill_more(work: Transaction, password_hash: str) -> None:
    for kind in AccountKind:
        account = Account(f"a {kind}", frozenset({"view-mail-settings"}), kind)
        await work.accounts.add(Credentials(account, password_hash, "a stamp"))
    await work.service_keys.add("signing:k1", "a signing key")
    for number in range(3):
        origin = Origin("192.0.2.1", f"request {number}")
        await work.audit.append(AuditRecord(None, origin, Action.ACCESS, "ü", AuditOutcome.REFUSED, {"n": number}))


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As a disk that is full: the kernel refuses to write on. Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
