"""Everything that is sealed: one list, so that status, reseal, drop and the check at the start treat all alike."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, func

from mailsettings.store.sealing import START_BYTES, start_of
from mailsettings.store.tables import mail_servers, sealed_keys


@dataclass(frozen=True, slots=True, eq=False)
class SealedColumn:
    """A column of secrets, the one that tells its rows apart, and those that a secret was given for."""

    id: Column[Any]
    sealed: Column[Any]
    beside: Sequence[Column[Any]] = ()

    @property
    def table(self) -> Table:
        """The table of both."""
        return self.sealed.table

    @property
    def start(self) -> ColumnElement[bytes]:
        """What tells which key a secret needs, cut out by the database."""
        return func.substr(self.sealed, 1, START_BYTES, type_=LargeBinary)

    def newest_start(self, key_id: str) -> bytes:
        """What a secret here begins with when this key sealed it in today's format."""
        return start_of(key_id, bound=bool(self.beside))

    def place(self, row_id: object) -> str:
        """Where the secret of this row is."""
        return f"{self.table.name}|{row_id}|{self.sealed.name}"

    def said_beside(self, values: Mapping[Any, Any]) -> str:
        """What a secret is bound to of the *values* in its row; empty where it is bound to none."""
        return json.dumps([values[column.name] for column in self.beside]) if self.beside else ""


_SERVER = mail_servers.c
MAIL_SERVER_SECRET = SealedColumn(
    _SERVER.id,
    _SERVER.sealed_secret,
    # What `MailServer.destination` is made of.
    [
        *(_SERVER.host, _SERVER.port, _SERVER.security, _SERVER.certificates),
        *(_SERVER.authentication, _SERVER.username, _SERVER.client_id, _SERVER.tenant),
    ],
)

OWN_KEY = SealedColumn(sealed_keys.c.name, sealed_keys.c.sealed)

SEALED: Sequence[SealedColumn] = (MAIL_SERVER_SECRET, OWN_KEY)
