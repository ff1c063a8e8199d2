"""The keys that sign our access tokens: EC P-256, as PEM. Where they are kept is not known here."""

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
KEPT_SECONDS = 5.0
"""How long a process may not notice that a key was dropped."""
MIN_RELOAD_INTERVAL_SECONDS = 1.0
"""How often tokens that name an unknown key make us look for it."""

LoadKeys = Callable[[], Awaitable[Sequence[tuple[str, str]]]]
"""Reads id and PEM of each key, oldest first. Raises `StoreUnavailable`."""


class SigningKeyUnusable(Exception):
    """What is kept is no key that we can sign with; `str()` is one sentence."""

    def __init__(self) -> None:
        super().__init__("The signing key must be a P-256 private key in PEM form.")


def make() -> tuple[str, str]:
    """A new key: its id, and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return secrets.token_hex(8), pem.decode()


def load(pem: str) -> ec.EllipticCurvePrivateKey:
    """The key in *pem*. Raises `SigningKeyUnusable`."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise SigningKeyUnusable from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyUnusable
    return key


class SigningKeys:
    """All keys; the newest signs. They are asked for again every few seconds, and when an unknown one is named."""

    def __init__(self, read: LoadKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._failed = 0

    async def newest(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """Id and key to sign with. Raises `StoreUnavailable`, and `SigningKeyUnusable` where there is none."""
        await self._renew_if_older_than(0)
        if not self._keys:
            raise SigningKeyUnusable
        return list(self._keys.items())[-1]

    async def verification_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """The public part of the key of this id, if it still counts. Raises `StoreUnavailable`."""
        await self._renew_if_older_than(KEPT_SECONDS if key_id in self._keys else MIN_RELOAD_INTERVAL_SECONDS)
        key = self._keys.get(key_id)
        return key.public_key() if key else None

    async def json_web_keys(self) -> Mapping[str, object]:
        """The public parts of all keys (RFC 7517). Raises `StoreUnavailable`."""
        await self._renew_if_older_than(0)
        return {"keys": [_to_jwk(key_id, key) for key_id, key in self._keys.items()]}

    async def _renew_if_older_than(self, seconds: float) -> None:
        """One reading at a time, so that none puts back what an earlier one had found; one is for all that wait.

        Who finds the database away found it for all that wait by then, or the last would wait as often as the
        database is asked.
        """
        asked = self._clock()
        if asked - self._read_at < seconds:
            return
        failed_before = self._failed
        async with self._reading:
            if self._failed != failed_before:
                raise StoreUnavailable
            # What was read since is as new as what would be read now.
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
