"""Secrets of devices: random, typed on the keypad of a printer if need be, and verified within microseconds.

A slow password hash protects what people choose. A secret of 130 random bits needs no slowness (NIST SP 800-63B
5.1.1.2 asks for it only where secrets can be guessed); a keyed hash keeps a stolen table from being of use, and a
device logs in for each message.
"""

import hmac
import secrets
from dataclasses import dataclass, field

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters that a keypad types without shift, without those that look alike: 0, 1, l and o."""
SECRET_LENGTH = 26
"""With 5 bits for each character, 130 bits."""
KEY_BYTES = 32
_MAX_TYPED_LENGTH = 255


def new_secret() -> str:
    """Return a new random secret."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


@dataclass(frozen=True, slots=True)
class DeviceSecretKey:
    """The key of the hashes under which this service knows the secrets of devices."""

    key: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "DeviceSecretKey":
        """Return a new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def hash(self, owner: str, secret: str) -> bytes:
        """Return the hash of *secret*, which is worth nothing for any other *owner*."""
        # Some devices capitalise typed text; no secret has capital letters.
        typed = secret.lower().encode("utf-8", "surrogatepass")[:_MAX_TYPED_LENGTH]
        return hmac.digest(self.key, f"{owner}|".encode() + typed, "sha256")

    def fits(self, owner: str, secret: str, stored: bytes | None) -> bool:
        """Return whether *secret* is that of *owner*; without a stored hash the work is the same."""
        found = hmac.compare_digest(self.hash(owner, secret), stored or bytes(32))
        return found and stored is not None


def device_owner(device_id: int) -> str:
    """Return the owner of the secret of a device."""
    return f"device:{device_id}"
