"""Everything that is sealed: one list, so that status, reseal, drop and the check at the start treat all alike."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, func

from mailsettings.domain.secret import LABEL_BYTES
from mailsettings.store.encryption.sealing import PREFIX_BYTES, prefix_of
from mailsettings.store.tables import mail_server_versions, mail_servers, service_keys


@dataclass(frozen=True, slots=True, eq=False)
class SealedColumn:
    """A column of secrets, the one that tells its rows apart, and those that a secret was given for.

    What was sealed in another column and is kept here as it was has that column as `home`, and in `owner` the id
    of the row that it was sealed for. `label` is the column of what the audit log shows for the secret.
    """

    id: Column[Any]
    sealed: Column[Any]
    associated_data: Sequence[Column[Any]] = ()
    original_column: Column[Any] | None = None
    original_row_id: Column[Any] | None = None
    label: Column[Any] | None = None

    @property
    def table(self) -> Table:
        """The table of both."""
        return self.sealed.table

    @property
    def start(self) -> ColumnElement[bytes]:
        """What tells which key a secret needs, cut out by the database."""
        return func.substr(self.sealed, 1, PREFIX_BYTES, type_=LargeBinary)

    def newest_start(self, key_id: str) -> bytes:
        """What a secret here begins with when this key sealed it in today's format."""
        return prefix_of(key_id, bound=bool(self.associated_data))

    @property
    def sealed_for(self) -> Column[Any]:
        """The id that belongs to the place."""
        return self.id if self.original_row_id is None else self.original_row_id

    def place(self, row_id: object) -> str:
        """Where the secret of this row is, or was when it was sealed."""
        original_column = self.sealed if self.original_column is None else self.original_column
        return f"{original_column.table.name}|{row_id}|{original_column.name}"

    def associated_data_in(self, values: Mapping[Any, Any]) -> str:
        """What a secret is bound to of the *values* in its row; empty where it is bound to none."""
        return json.dumps([values[column.name] for column in self.associated_data]) if self.associated_data else ""

    def labelled(self, values: Mapping[Any, Any], sealed: bytes) -> dict[str, str]:
        """The label of the secret in a row, by its column, to be kept when the secret is sealed anew."""
        return {} if self.label is None else {self.label.name: label_of(values[self.label.name], sealed)}


def label_of(label: str | None, sealed: bytes) -> str:
    """The label of a stored secret.

    Programs that know no labels leave the column empty. What they sealed is random and new at each storing too, so
    its hash serves as the label.
    """
    return label or hashlib.sha256(b"mailsettings secret label" + sealed).digest()[:LABEL_BYTES].hex()


def _destination_columns(table: Table) -> Sequence[Column[Any]]:
    """What `MailServer.destination` is made of."""
    names = ["host", "port", "security", "certificates", "authentication", "username", "client_id", "tenant"]
    return [table.c[name] for name in names]


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
