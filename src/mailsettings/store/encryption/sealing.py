"""Seals secrets with AES-256-GCM, bound to the key and to their location. Knows nothing of SQL or files.

A sealed secret begins with a format byte and the id of its key, so its key is known without decrypting it.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailsettings.domain.errors import SecretUnreadable, StoreUnavailable

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
            raise SecretUnreadable
        binds = sealed.startswith(_BOUND)
        if associated_data and not binds and self._only_bound(needed):
            raise SecretUnreadable
        nonce, text = sealed[PREFIX_BYTES : PREFIX_BYTES + _NONCE_BYTES], sealed[PREFIX_BYTES + _NONCE_BYTES :]
        try:
            aad = _bound_to(place, needed, associated_data if binds else "")
            return cipher.decrypt(nonce, text, aad).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable from None

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
