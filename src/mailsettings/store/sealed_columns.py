"""Everything that is sealed: one list, so that status, reseal, drop and the check at the start treat all alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, func

from mailsettings.store.sealing import START_BYTES
from mailsettings.store.tables import mail_servers, sealed_keys


@dataclass(frozen=True, slots=True, eq=False)
class SealedColumn:
    """A column of secrets, and the one that tells its rows apart."""

    id: Column[Any]
    sealed: Column[Any]

    @property
    def table(self) -> Table:
        """The table of both."""
        return self.sealed.table

    @property
    def start(self) -> ColumnElement[bytes]:
        """What tells which key a secret needs, cut out by the database."""
        return func.substr(self.sealed, 1, START_BYTES, type_=LargeBinary)

    def place(self, row_id: object) -> str:
        """What the secret in this row is bound to."""
        return f"{self.table.name}|{row_id}|{self.sealed.name}"


MAIL_SERVER_SECRET = SealedColumn(mail_servers.c.id, mail_servers.c.sealed_secret)

OWN_KEY = SealedColumn(sealed_keys.c.name, sealed_keys.c.sealed)

SEALED: Sequence[SealedColumn] = (MAIL_SERVER_SECRET, OWN_KEY)
