"""Accounts as rows."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Account, AccountKind, Credentials
from mailsettings.domain.errors import AccountExists, AccountNotFound
from mailsettings.store.tables import accounts as table


class SQLAccounts:
    """The accounts, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> Sequence[Account]:
        """Return all accounts by name."""
        rows = await self._connection.execute(select(table).order_by(table.c.name))
        return [_account(row) for row in rows]

    async def find(self, name: str) -> Credentials | None:
        """Return the account with exactly this name, with its password hash."""
        rows = await self._connection.execute(select(table).where(table.c.name == name))
        row = rows.one_or_none()
        return None if row is None else Credentials(_account(row), row.password_hash, row.security_stamp)

    async def add(self, credentials: Credentials) -> None:
        """Store a new account. Raises `AccountExists`."""
        account = credentials.account
        new = {
            "name": account.name,
            "kind": account.kind.value,
            "password_hash": credentials.password_hash,
            "security_stamp": credentials.stamp,
            "grants": _grants(account.grants),
            "created_at": datetime.now(UTC),
        }
        try:
            await self._connection.execute(insert(table).values(new))
        # Without the cause, which may repeat values of the row.
        except IntegrityError:
            raise AccountExists(account.name) from None

    async def set_password(self, credentials: Credentials) -> None:
        """Replace the password hash and its stamp. Raises `AccountNotFound`."""
        changed = {"password_hash": credentials.password_hash, "security_stamp": credentials.stamp}
        await self._change(credentials.account.name, changed)

    async def set_grants(self, name: str, grants: Iterable[str]) -> None:
        """Replace the grants. Raises `AccountNotFound`."""
        await self._change(name, {"grants": _grants(grants)})

    async def remove(self, name: str) -> None:
        """Remove the account. Raises `AccountNotFound`."""
        removed = await self._connection.execute(delete(table).where(table.c.name == name))
        if removed.rowcount == 0:
            raise AccountNotFound(name)

    async def _change(self, name: str, values: dict[str, str]) -> None:
        changed = await self._connection.execute(update(table).where(table.c.name == name).values(values))
        if changed.rowcount == 0:
            raise AccountNotFound(name)


def _account(row: Row[Any]) -> Account:
    return Account(row.name, frozenset(json.loads(row.grants)), AccountKind(row.kind))


def _grants(grants: Iterable[str]) -> str:
    return json.dumps(sorted(grants))
