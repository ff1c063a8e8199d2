"""Secrets at rest: AES-256-GCM, bound to the key and to the place they are kept in. Knows nothing of SQL."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailsettings.domain.errors import SecretUnreadable

KEY_BYTES = 32
_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12  # NIST SP 800-38D 8.2.2: random, 96 bits


class Sealer:
    """Seals texts for a place, a table, row and field; what is moved elsewhere does not open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"mailsettings key id" + key).digest()[:_ID_BYTES]

    def seal(self, text: str, place: str) -> bytes:
        """*text*, unreadable without the key."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), self._bound_to(place))
        return _FORMAT + self.key_id + nonce + sealed

    def open(self, sealed: bytes, place: str) -> str:
        """What was sealed for *place*. Raises `SecretUnreadable`."""
        start = len(_FORMAT) + _ID_BYTES
        if not sealed.startswith(_FORMAT + self.key_id):
            raise SecretUnreadable
        nonce, text = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, text, self._bound_to(place)).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable from None

    def _bound_to(self, place: str) -> bytes:
        return f"{place}|{self.key_id.hex()}".encode()
