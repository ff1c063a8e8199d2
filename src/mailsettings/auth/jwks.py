"""The keys of an OpenID Connect issuer (RFC 7517): which of them verify signatures here, and how long they count.

Keys that are five minutes old are fetched again before the next use, so a key that the issuer removed counts no
longer. While the issuer is away they count for a day: tokens that it signed before seldom live longer.
"""

import asyncio
import logging
import math
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK, PyJWTError

from mailsettings.domain.access import TokenClaims
from mailsettings.domain.errors import IdentityUnavailable
from mailsettings.network.http import RequestFailed

MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Longer keys take longer to verify with; PyJWT and OpenSSL accept more."""
_MAX_MEMBER_LENGTH = MAX_RSA_BITS // 6 + 1  # base64: six bits in a character

REFRESH_AFTER_SECONDS = 300
MAX_AGE_SECONDS = 24 * 3600
MIN_REFRESH_INTERVAL_SECONDS = 30
"""Between two fetches, whatever key ids tokens name."""
MIN_FIRST_FETCH_INTERVAL_SECONDS = 5
"""The same until there are keys: before that, all callers of the issuer are locked out."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}  # RFC 7518 3.4
ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(_RSA, "RSA"),
    **dict.fromkeys(_CURVES, "EC"),
    "EdDSA": "OKP",
}
"""The signature algorithms that an issuer may use, each with its type of key (RFC 7518 6.1, RFC 8037 2)."""
DEFAULT_ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA"})

_log = logging.getLogger("mailsettings.issuer")


class KeysUnusable(Exception):
    """The issuer's documents hold no usable set of keys; `str()` says why and repeats nothing of them."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer at one moment, a key once for each algorithm that it may verify.

    `verified` holds what tokens say that these keys verified; it goes with the keys.
    """

    keys: tuple[PyJWK, ...]
    verified: OrderedDict[str, TokenClaims] = field(default_factory=OrderedDict, repr=False)

    def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return the key that a token's header means; None unless exactly one fits, so that none is tried out."""
        fitting = [key for key in self.keys if key.algorithm_name == algorithm and key_id in {None, key.key_id}]
        return fitting[0] if len(fitting) == 1 else None


def parse_jwks(
    document: Mapping[str, object],
    algorithms: Collection[str] = DEFAULT_ALGORITHMS,
    issuers: Collection[str] = (),
) -> KeySet:
    """Return the keys in *document* for *algorithms*; issuers publish keys for other purposes too.

    A key that names its issuer counts only if that is one of *issuers*. An empty set is valid: it is how an issuer
    revokes all it has signed. `PyJWKSet` would reject it. Raises `KeysUnusable`.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeysUnusable("its keys are not a JSON Web Key Set")
    if len(entries) > MAX_KEYS:
        raise KeysUnusable(f"it has more than {MAX_KEYS} keys")
    usable = [entry for entry in entries if _is_for_signatures(entry) and _is_of(issuers, entry.get("issuer"))]
    return KeySet(tuple(key for entry in usable for key in _parse_key(entry, algorithms)))


def _is_of(issuers: Collection[str], issuer: object) -> bool:
    """Return whether a key with this member `issuer` may verify tokens of *issuers*.

    Microsoft publishes the keys of several issuers together, and those of all tenants with `{tenantid}` in it:
    https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer
    """
    if issuer is None:
        return True
    before, mark, after = str(issuer).partition("{tenantid}")
    if not mark:
        return issuer in issuers
    return any(
        re.fullmatch(f"{re.escape(before)}[A-Za-z0-9.-]+{re.escape(after)}", each) is not None for each in issuers
    )


def _is_for_signatures(entry: object) -> bool:
    """Check what PyJWT does not. A key that is published with its private part (`d`) proves nothing."""
    if not isinstance(entry, dict):
        return False
    operations = entry.get("key_ops", ["verify"])
    return (
        isinstance(entry.get("kty"), str)
        and isinstance(entry.get("kid"), str | None)
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in entry
        and all(len(str(entry.get(member, ""))) <= _MAX_MEMBER_LENGTH for member in ("n", "e", "x", "y"))
    )


def _parse_key(entry: Mapping[str, str], algorithms: Collection[str]) -> Iterator[PyJWK]:
    for algorithm, kind in ALGORITHMS.items():
        if algorithm in algorithms and kind == entry["kty"] and entry.get("alg", algorithm) == algorithm:
            try:
                key = PyJWK(dict(entry), algorithm)
            except (PyJWTError, UnsupportedAlgorithm):
                continue
            if _is_strong(key.key, algorithm):
                yield key


def _is_strong(key: object, algorithm: str) -> bool:
    """Check type, curve and length, which PyJWT checks for no key that it gets as a `PyJWK`."""
    if isinstance(key, rsa.RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES[algorithm])
    return isinstance(key, ed25519.Ed25519PublicKey)


class CachedIssuerKeys:
    """The keys of *issuer*, which *fetch* returns.

    At most one fetch runs at a time, and all callers wait for it.
    """

    def __init__(
        self, issuer: str, fetch: Callable[[], Awaitable[KeySet]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = -math.inf
        self._tried = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def current(self) -> KeySet:
        """Return the keys, at most five minutes old unless the issuer is away. Raises `IdentityUnavailable`."""
        if self._age() >= REFRESH_AFTER_SECONDS:
            await self._refresh()
        return self._valid_keys()

    async def refreshed(self) -> KeySet:
        """Return the keys after another fetch, if it is time for one. Raises `IdentityUnavailable`."""
        await self._refresh()
        if self._tried > self._fetched:  # the issuer is away, so an unknown key may be newer than the last fetch
            raise IdentityUnavailable
        return self._valid_keys()

    def _age(self) -> float:
        return self._clock() - self._fetched

    def _valid_keys(self) -> KeySet:
        if self._keys is None or self._age() >= MAX_AGE_SECONDS:
            raise IdentityUnavailable
        return self._keys

    async def _refresh(self) -> None:
        """Start a fetch if it is time for one, and wait for the running one. Its failure is no error here."""
        if self._fetching is None:
            interval = MIN_FIRST_FETCH_INTERVAL_SECONDS if self._keys is None else MIN_REFRESH_INTERVAL_SECONDS
            if self._clock() - self._tried < interval:
                return
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch_once())
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        started = self._tried
        try:
            self._keys = await self._fetch()
            self._fetched = started
        except (RequestFailed, KeysUnusable) as failed:
            _log.warning(
                "The keys of the OpenID Connect issuer %s could not be fetched: %s.", self._issuer, failed
            )
        finally:
            self._fetching = None
