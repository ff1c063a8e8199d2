"""Sealing of secrets: AES-GCM, bound to column, row and destination; and the list of sealed columns."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, ColumnElement, LargeBinary, Table, func

from mailsettings.domain.errors import SecretUnreadable, StoreUnavailable
from mailsettings.domain.mail_server import Destination
from mailsettings.domain.values import LABEL_BYTES
from mailsettings.store.tables import mail_server_versions, mail_servers, service_keys

KEY_BYTES = 32
_PLAIN = b"\x01"
"""The first format: bound to the location."""
_BOUND = b"\x02"
"""The current format: bound to the location and to associated data."""
_ID_BYTES = 8
PREFIX_BYTES = 1 + _ID_BYTES
"""The number of bytes that name format and key of a sealed secret."""

_NONCE_BYTES = 12  # NIST SP 800-38D 8.2.2: random, 96 bits


def key_id(key: bytes) -> str:
    """Return the id of *key* in hexadecimal, which reveals nothing about the key."""
    return hashlib.sha256(b"mailsettings key id" + key).digest()[:_ID_BYTES].hex()


def key_id_of(sealed: bytes) -> str | None:
    """Return the id of the key that *sealed* needs; None for anything else."""
    whole = sealed.startswith((_PLAIN, _BOUND)) and len(sealed) >= PREFIX_BYTES
    return sealed[1:PREFIX_BYTES].hex() if whole else None


def prefix_of(key_id: str, *, bound: bool = False) -> bytes:
    """Return the first bytes of everything that this key sealed in this format."""
    return (_BOUND if bound else _PLAIN) + bytes.fromhex(key_id)


class Sealer:
    """Seals texts for a place: a table, a row and a column. A sealed text that was moved elsewhere does not open.

    With associated data, such as the destination in the same row, it does not open after that data changed. So an
    attacker who can write the database cannot redirect a password to another host. Version 0.1.0 bound secrets
    only to their place; a key with an id in *bound* refuses such secrets, because resealing left none (see
    `key_file.py`).

    The last of *keys* seals, each of them opens. *later* provides unknown keys. A sealer never changes, so a
    secret that was read with it opens even if its key is dropped a moment later.
    """

    def __init__(
        self,
        *keys: bytes,
        later: Callable[[], "Sealer"] | None = None,
        seals: bool = True,
        bound: Iterable[str] = (),
    ) -> None:
        self._keys = keys
        self._bound = frozenset(bound)
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._later = later
        self._seals = seals
        self.key_id = key_id(keys[-1])
        """The id of the key that seals new secrets."""

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._ciphers)

    def seal(self, text: str, place: str, associated_data: str = "") -> bytes:
        """Return *text* encrypted. Raises `StoreUnavailable` if this sealer only opens."""
        if not self._seals:
            raise StoreUnavailable
        # Random nonces are safe for 2^32 seals per key (NIST SP 800-38D 8.3), far above any number of secrets.
        nonce = os.urandom(_NONCE_BYTES)
        aad = _bound_to(place, self.key_id, associated_data)
        sealed = self._ciphers[self.key_id].encrypt(nonce, text.encode(), aad)
        return prefix_of(self.key_id, bound=bool(associated_data)) + nonce + sealed

    def open(self, sealed: bytes, place: str, associated_data: str = "") -> str:
        """Return the text that was sealed for *place*. Raises `SecretUnreadable`."""
        needed = key_id_of(sealed)
        cipher = None if needed is None else self._ciphers.get(needed) or self._asked_later(needed)
        if needed is None or cipher is None:
            raise SecretUnreadable(f"its key {needed or 'of an old form'} is not in the key file")
        binds = sealed.startswith(_BOUND)
        if associated_data and not binds and self._only_bound(needed):
            raise SecretUnreadable("it is not bound to its destination, as all secrets of its key are")
        nonce, text = sealed[PREFIX_BYTES : PREFIX_BYTES + _NONCE_BYTES], sealed[PREFIX_BYTES + _NONCE_BYTES :]
        try:
            aad = _bound_to(place, needed, associated_data if binds else "")
            return cipher.decrypt(nonce, text, aad).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable("it is damaged, or was moved from another row or destination") from None

    def opening_only(self) -> "Sealer":
        """Return a sealer with the same keys that seals nothing."""
        return Sealer(*self._keys, later=self._later, seals=False, bound=self._bound)

    def known(self) -> Self:
        """Return itself, because its keys never change."""
        return self

    def newest(self) -> Self:
        """Return itself, as `known` does."""
        return self

    def _only_bound(self, needed: str) -> bool:
        """Return whether this key is marked; another process may have marked it since the file was read."""
        return needed in self._bound or (self._later is not None and needed in self._later()._bound)  # noqa: SLF001  # one of us

    def _asked_later(self, needed: str) -> AESGCM | None:
        return self._later()._ciphers.get(needed) if self._later else None  # noqa: SLF001  # one of us


def _bound_to(place: str, key_id: str, associated_data: str) -> bytes:
    if not associated_data:
        return f"{place}|{key_id}".encode()
    return f"{place}|{hashlib.sha256(associated_data.encode()).hexdigest()}|{key_id}".encode()


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
