"""The EC P-256 keys that sign our access tokens. A caller provides their storage."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mailsettings.domain.errors import StoreUnavailable

ALGORITHM = "ES256"
MAX_AGE_SECONDS = 5.0
"""The longest time until a process notices that a key was dropped."""
MIN_RELOAD_INTERVAL_SECONDS = 1.0
"""Between two reads because of tokens that name an unknown key."""

LoadKeys = Callable[[], Awaitable[Sequence[tuple[str, str]]]]
"""Return id and PEM of each key, oldest first. Raises `StoreUnavailable`."""


class SigningKeyUnusable(Exception):
    """The stored key is not a valid signing key; `str()` is one sentence."""

    def __init__(self) -> None:
        super().__init__("The signing key must be a P-256 private key in PEM form.")


def make() -> tuple[str, str]:
    """Return id and PEM of a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return secrets.token_hex(8), pem.decode()


def load(pem: str) -> ec.EllipticCurvePrivateKey:
    """Return the key in *pem*. Raises `SigningKeyUnusable`."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise SigningKeyUnusable from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyUnusable
    return key


class SigningKeys:
    """All signing keys; the newest signs. Reloads them every few seconds, and for an unknown key id."""

    def __init__(self, read: LoadKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._failed = 0

    async def newest(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """Return id and key to sign with. Raises `StoreUnavailable`, and `SigningKeyUnusable` without a key."""
        await self._renew_if_older_than(0)
        if not self._keys:
            raise SigningKeyUnusable
        return list(self._keys.items())[-1]

    async def verification_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key of *key_id*, or None if it was dropped. Raises `StoreUnavailable`."""
        await self._renew_if_older_than(MAX_AGE_SECONDS if key_id in self._keys else MIN_RELOAD_INTERVAL_SECONDS)
        key = self._keys.get(key_id)
        return key.public_key() if key else None

    async def json_web_keys(self) -> Mapping[str, object]:
        """Return all public keys as a JSON Web Key Set (RFC 7517). Raises `StoreUnavailable`."""
        await self._renew_if_older_than(0)
        return {"keys": [_to_jwk(key_id, key) for key_id, key in self._keys.items()]}

    async def _renew_if_older_than(self, seconds: float) -> None:
        """Reload the keys if they are older than *seconds*: one reload at a time, shared by all waiting requests.

        A reload that fails fails for all requests that wait by then. If each retried, the last would wait for as
        many timeouts as there are requests.
        """
        asked = self._clock()
        if asked - self._read_at < seconds:
            return
        failed_before = self._failed
        async with self._reading:
            if self._failed != failed_before:
                raise StoreUnavailable
            # A reload since then is as fresh as a new reload.
            if self._read_at <= asked and self._clock() - self._read_at >= seconds:
                await self._renew()

    async def _renew(self) -> None:
        now, known = self._clock(), self._keys
        try:
            self._keys = {key_id: known.get(key_id) or load(pem) for key_id, pem in await self._read()}
        except StoreUnavailable:
            self._failed += 1
            raise
        self._read_at = now


def _to_jwk(key_id: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": key_id, "use": "sig", "alg": ALGORITHM}
