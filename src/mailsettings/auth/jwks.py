"""Parse and cache the issuer's JSON Web Keys (RFC 7517).

Keys are refreshed when they are five minutes old, so a key that the issuer revokes stops working within that
time. While the issuer is away they stay valid for a day: tokens signed before do not outlive that.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeGuard, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK, PyJWTError

from mailsettings.auth.fetching import FETCH_TIMEOUT_SECONDS, FetchFailed
from mailsettings.domain.errors import IdentityUnavailable

MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Verifying takes longer the longer the key; PyJWT and OpenSSL would take more."""
MAX_MEMBER_LENGTH = MAX_RSA_BITS // 6 + 1

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

# The members that make a public key of each type, and the algorithms that we take of it.
_MEMBERS_BY_TYPE = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_ALGORITHMS_BY_TYPE = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}
ALGORITHMS = frozenset(name for names in _ALGORITHMS_BY_TYPE.values() for name in names)


class KeysUnusable(Exception):
    """A document is no set of keys; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, and what it may be used with."""

    key_id: str | None
    algorithms: frozenset[str]
    key: PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer at one moment."""

    keys: tuple[VerificationKey, ...]

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """The one key that is meant; None if there is none or several, so that nothing is tried out."""
        fitting = [
            key for key in self.keys if algorithm in key.algorithms and (key_id is None or key.key_id == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def parse_jwks(document: Mapping[str, object]) -> KeySet:
    """The keys in *document* that are of use; others are left out, for issuers publish keys for others too.

    None at all is an answer: it is how an issuer takes back all it has signed. Raises `KeysUnusable`.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeysUnusable("The issuer's keys are not a JSON Web Key Set.")
    if len(entries) > MAX_KEYS:
        raise KeysUnusable(f"The issuer has more than {MAX_KEYS} keys.")
    return KeySet(tuple(key for key in map(_parse_key, entries) if key is not None))


def _parse_key(entry: object) -> VerificationKey | None:
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kind, key_id = entry.get("kty"), entry.get("kid")
    if not isinstance(kind, str) or kind not in _MEMBERS_BY_TYPE or not isinstance(key_id, str | None):
        return None
    algorithms = frozenset(_ALGORITHMS_BY_TYPE[kind])
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    key = _public_key(kind, entry) if algorithms else None
    return VerificationKey(key_id, algorithms, key) if key is not None else None


def _is_for_signatures(entry: Mapping[str, object]) -> bool:
    """A key with its private part (`d`) in it is everybody's, and nobody's proof."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and "d" not in entry
        and (isinstance(operations, list) and "verify" in operations)
    )


def _public_key(kind: str, entry: Mapping[str, object]) -> PublicKey | None:
    members = {name: entry.get(name) for name in _MEMBERS_BY_TYPE[kind]}
    if not all(isinstance(value, str) and len(value) <= MAX_MEMBER_LENGTH for value in members.values()):
        return None
    try:
        key: object = PyJWK({"kty": kind, **members}, _ALGORITHMS_BY_TYPE[kind][0]).key
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    return key if _is_strong(key) else None


def _is_strong(key: object) -> TypeGuard[PublicKey]:
    """Of the type that its algorithm wants, and of a length that is neither too little nor a burden."""
    if isinstance(key, rsa.RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1)
    return isinstance(key, ed25519.Ed25519PublicKey)


REFRESH_AFTER_SECONDS = 300
KEPT_SECONDS = 24 * 3600
MIN_REFRESH_INTERVAL_SECONDS = 30
"""Between two fetches, whatever tokens are shown."""
MIN_FIRST_FETCH_INTERVAL_SECONDS = 5
"""The same as long as there are no keys, and nobody can come in."""

Result = TypeVar("Result")
_log = logging.getLogger("mailsettings.issuer")


class CachedIssuerKeys:
    """The keys that *fetch* gets; it blocks, and one call of it at a time is all that is ever under way."""

    def __init__(self, fetch: Callable[[], KeySet], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = -math.inf
        self._tried = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._wait_until = -math.inf

    async def current(self) -> KeySet:
        """The keys, at most five minutes old unless the issuer is away. Raises `IdentityUnavailable`."""
        if self._age() >= REFRESH_AFTER_SECONDS:
            await self._renew()
        return self._kept()

    async def renewed(self) -> KeySet:
        """The keys after asking again, if it is time for that. Raises `IdentityUnavailable`."""
        await self._renew()
        if self._tried > self._fetched:  # the issuer is away, so a key that we lack may be one of its newer ones
            raise IdentityUnavailable
        return self._kept()

    def _age(self) -> float:
        return self._clock() - self._fetched

    def _kept(self) -> KeySet:
        if self._keys is None or self._age() >= KEPT_SECONDS:
            raise IdentityUnavailable
        return self._keys

    async def _renew(self) -> None:
        """Fetch, or join the fetch under way; not if the last one was a moment ago. Failing is no error here."""
        if self._fetching is None:
            if self._clock() - self._tried < (
                MIN_FIRST_FETCH_INTERVAL_SECONDS if self._keys is None else MIN_REFRESH_INTERVAL_SECONDS
            ):
                return
            self._tried = self._clock()
            self._wait_until = asyncio.get_running_loop().time() + FETCH_TIMEOUT_SECONDS
            self._fetching = asyncio.create_task(self._fetch_once())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._wait_until):
                await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        begun = self._tried
        try:
            self._keys = await _run_on_daemon_thread(self._fetch)
            self._fetched = begun
        except FetchFailed as failed:
            _log.warning("The keys of the OpenID Connect issuer were not fetched. %s", failed)
        finally:
            self._fetching = None


async def _run_on_daemon_thread(call: Callable[[], Result]) -> Result:
    """The result of *call*. Not an executor's thread: others would wait for it, and so would the program's end."""
    outcome: Future[Result] = Future()
    outcome.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
            outcome.set_exception(error)

    threading.Thread(target=work, name="issuer-keys", daemon=True).start()
    return await asyncio.wrap_future(outcome)
