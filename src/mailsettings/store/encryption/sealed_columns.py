"""The one list of all sealed columns, which status, reseal, drop, backup and the check at the start share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, func

from mailsettings.domain.mail_server import Destination
from mailsettings.domain.secret import LABEL_BYTES
from mailsettings.store.encryption.sealing import PREFIX_BYTES, prefix_of
from mailsettings.store.tables import mail_server_versions, mail_servers, service_keys


@dataclass(frozen=True, slots=True, eq=False)
class SealedColumn:
    """A column of sealed secrets, its id column, and the columns with the associated data of a secret.

    A secret that was copied here from another column is still bound to where it was sealed: `original_column` is
    that column, and `original_row_id` has the id of that row. `label` is the column with the label for the audit
    log.
    """

    id: Column[Any]
    sealed: Column[Any]
    associated_data: Sequence[Column[Any]] = ()
    original_column: Column[Any] | None = None
    original_row_id: Column[Any] | None = None
    label: Column[Any] | None = None

    @property
    def table(self) -> Table:
        """The table with the column."""
        return self.sealed.table

    @property
    def start(self) -> ColumnElement[bytes]:
        """The first bytes of a secret, which name its key, cut out by the database."""
        return func.substr(self.sealed, 1, PREFIX_BYTES, type_=LargeBinary)

    def newest_start(self, key_id: str) -> bytes:
        """Return the first bytes of a secret that this key sealed in the current format."""
        return prefix_of(key_id, bound=bool(self.associated_data))

    @property
    def sealed_for(self) -> Column[Any]:
        """The column with the id that the secret is bound to."""
        return self.id if self.original_row_id is None else self.original_row_id

    def place(self, row_id: object) -> str:
        """Return the location that the secret of this row is bound to."""
        original_column = self.sealed if self.original_column is None else self.original_column
        return f"{original_column.table.name}|{row_id}|{original_column.name}"

    def associated_data_in(self, values: Mapping[Any, Any]) -> str:
        """Return the associated data in the *values* of a row; empty if the column has none."""
        return json.dumps([values[column.name] for column in self.associated_data]) if self.associated_data else ""

    def labelled(self, values: Mapping[Any, Any], sealed: bytes) -> dict[str, str]:
        """Return the label of the secret in a row by its column, to store it when the secret is resealed."""
        return {} if self.label is None else {self.label.name: label_of(values[self.label.name], sealed)}


def label_of(label: str | None, sealed: bytes) -> str:
    """Return the label of a stored secret.

    Older programs leave the column empty. A sealed secret is random and new at each change, so its hash is the
    label.
    """
    return label or hashlib.sha256(b"mailsettings secret label" + sealed).digest()[:LABEL_BYTES].hex()


_COLUMN_NAMES = {"trust": "certificates", "login": "authentication"}


def _destination_columns(table: Table) -> Sequence[Column[Any]]:
    """Return the columns of a `Destination`. Their order is part of every sealed secret, so it must not change."""
    return [table.c[_COLUMN_NAMES.get(field.name, field.name)] for field in fields(Destination)]


MAIL_SERVER_SECRET = SealedColumn(
    mail_servers.c.id,
    mail_servers.c.sealed_secret,
    _destination_columns(mail_servers),
    label=mail_servers.c.secret_label,
)
PAST_SECRET = SealedColumn(
    mail_server_versions.c.id,
    mail_server_versions.c.sealed_secret,
    _destination_columns(mail_server_versions),
    original_column=mail_servers.c.sealed_secret,
    original_row_id=mail_server_versions.c.server_id,
    label=mail_server_versions.c.secret_label,
)

SERVICE_KEY = SealedColumn(service_keys.c.name, service_keys.c.sealed)

SEALED_COLUMNS: Sequence[SealedColumn] = (MAIL_SERVER_SECRET, PAST_SECRET, SERVICE_KEY)
