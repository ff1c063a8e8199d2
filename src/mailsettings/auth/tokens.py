"""Access tokens of this service: the keys that sign them, issuing and verifying."""

import asyncio
import secrets
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mailsettings.auth.access_token import (
    MAX_TOKEN_LENGTH,
    expired_token,
    invalid_token,
    reason_of,
    remember,
    require_timestamps,
)
from mailsettings.domain.access import IssuedToken, TokenClaims
from mailsettings.domain.errors import NotAuthenticated, StoreUnavailable

ALGORITHM = "ES256"
MAX_AGE_SECONDS = 5.0
"""The longest time until a process notices that a key was dropped."""
MIN_RELOAD_INTERVAL_SECONDS = 1.0
"""Between two reads because of tokens that name an unknown key."""
MAX_OUTAGE_SECONDS = 86_400.0
"""The longest outage of the database in which the last keys still verify tokens that need no account."""

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
    except (ValueError, TypeError) as error:
        raise SigningKeyUnusable from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyUnusable
    return key


class SigningKeys:
    """All signing keys; the newest signs. Reloads them every few seconds, and for an unknown key id."""

    def __init__(self, read: LoadKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._public: dict[str, ec.EllipticCurvePublicKey] = {}
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
        return self._public.get(key_id)

    def kept_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key of *key_id* as of the last read, for a while in which the store is unavailable."""
        if self._clock() - self._read_at > MAX_OUTAGE_SECONDS:
            return None
        return self._public.get(key_id)

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
        self._public = {key_id: key.public_key() for key_id, key in self._keys.items()}
        self._read_at = now


def _to_jwk(key_id: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": key_id, "use": "sig", "alg": ALGORITHM}


AUDIENCE = "mailsettings"

VendorClaims = Callable[[Iterable[str]], Mapping[str, object]]
"""Returns the claims that the clients of one vendor read, for the grants in a token."""


class OwnTokenIssuer:
    """Signs tokens; *vendor_claims* add the claims that vendors' clients read."""

    def __init__(self, keys: SigningKeys, issuer: str, vendor_claims: Iterable[VendorClaims]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._vendor_claims = tuple(vendor_claims)

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        """Return a token that gives *grants* to *subject*; *stamp* is its account's, if it has an account."""
        now = int(time.time())
        names = sorted(grants)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "auth_time": now,
            "exp": now + lifetime_seconds,
            "jti": uuid.uuid4().hex,
            "grants": names,
        }
        for add in self._vendor_claims:
            claims.update(add(names))
        if stamp is not None:
            claims["stamp"] = stamp
        key_id, key = await self._keys.newest()
        return IssuedToken(jwt.encode(claims, key, ALGORITHM, {"typ": "at+jwt", "kid": key_id}), lifetime_seconds)


class OwnTokenReader:
    """Reads our own tokens; remembers verified tokens until they expire, or until their key is dropped.

    While the store is unavailable, the last keys verify tokens without an account; other tokens need the store.
    """

    def __init__(self, keys: SigningKeys, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._verified: OrderedDict[str, tuple[str, TokenClaims]] = OrderedDict()

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `StoreUnavailable`."""
        known = self._verified.get(token)
        if known is not None and time.time() < known[1].expires_at and await self._still_valid(*known):
            return known[1]
        if len(token) > MAX_TOKEN_LENGTH:
            reason = f"it is longer than {MAX_TOKEN_LENGTH} characters"
            raise NotAuthenticated("The access token is too long.", presented=True, reason=reason)
        key_id = _key_id(token)
        claims = await self._verify(token, key_id)
        remember(self._verified, token, (key_id, claims))
        return claims

    async def _still_valid(self, key_id: str, claims: TokenClaims) -> bool:
        try:
            return await self._keys.verification_key(key_id) is not None
        except StoreUnavailable:
            self._require_no_account(claims)
            if self._keys.kept_key(key_id) is None:
                raise
            return True

    async def _verify(self, token: str, key_id: str) -> TokenClaims:
        try:
            key = await self._keys.verification_key(key_id)
        except StoreUnavailable:
            # The last keys serve until the store is back: it must not take the metrics along.
            kept = self._keys.kept_key(key_id)
            if kept is None:  # it may be a new key
                raise
            claims = self._decode(token, kept)
            self._require_no_account(claims)
            return claims
        if key is None:
            raise invalid_token("its signing key is unknown or was dropped")
        return self._decode(token, key)

    @staticmethod
    def _require_no_account(claims: TokenClaims) -> None:
        """Raise `StoreUnavailable` at once if the store would be asked for the account next."""
        if claims.stamp is not None:
            raise StoreUnavailable

    def _decode(self, token: str, key: ec.EllipticCurvePublicKey) -> TokenClaims:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Not `iat`: another replica's clock may be a little ahead.
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise expired_token() from error
        except jwt.PyJWTError as error:
            raise invalid_token(reason_of(error, {})) from error
        return _token_claims(claims)


def _token_claims(claims: Mapping[str, Any]) -> TokenClaims:
    """Return what verified *claims* say. Raises `NotAuthenticated` for values that no issued token has."""
    require_timestamps(claims)
    grants, stamp = claims.get("grants", []), claims.get("stamp")
    if not isinstance(grants, list) or not all(isinstance(name, str) for name in grants):
        raise invalid_token("its claim grants is malformed")
    if not isinstance(stamp, str | None):
        raise invalid_token("its claim stamp is malformed")
    return TokenClaims(claims["sub"], frozenset(grants), float(claims["exp"]), stamp)


def _key_id(token: str) -> str:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise invalid_token("it is not a JWT") from error
    if not isinstance(key_id, str):
        raise invalid_token("it names no key (kid)")
    return key_id
