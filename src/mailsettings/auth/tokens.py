"""Issue and verify our own access tokens: signed JWTs (RFC 7519, RFC 9068)."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import jwt

from mailsettings.auth.access_token import (
    MAX_TOKEN_LENGTH,
    invalid_token,
    parse_unverified,
    remember,
    require_timestamps,
)
from mailsettings.auth.signing_keys import ALGORITHM, SigningKeys
from mailsettings.domain.access import ISSUER_SEPARATOR, IssuedToken, TokenClaims
from mailsettings.domain.errors import NotAuthenticated

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
    """Reads our own tokens; remembers verified tokens until they expire, or until their key is dropped."""

    def __init__(self, keys: SigningKeys, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._verified: OrderedDict[str, tuple[str, TokenClaims]] = OrderedDict()

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `StoreUnavailable`."""
        known = self._verified.get(token)
        if known is not None and time.time() < known[1].expires_at and await self._keys.verification_key(known[0]):
            return known[1]
        if len(token) > MAX_TOKEN_LENGTH:
            raise NotAuthenticated("The access token is too long.", presented=True)
        key_id = _key_id(token)
        claims = await self._verify(token, key_id)
        remember(self._verified, token, (key_id, claims))
        return claims

    async def _verify(self, token: str, key_id: str) -> TokenClaims:
        key = await self._keys.verification_key(key_id)
        if key is None:
            raise invalid_token()
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
            raise NotAuthenticated("The access token has expired.", presented=True) from error
        except jwt.PyJWTError as error:
            raise invalid_token() from error
        return _token_claims(claims)


def _token_claims(claims: Mapping[str, Any]) -> TokenClaims:
    """Return what verified *claims* say. Raises `NotAuthenticated` for values that no issued token has."""
    require_timestamps(claims)
    grants, stamp = claims.get("grants", []), claims.get("stamp")
    if not isinstance(grants, list) or not all(isinstance(name, str) for name in grants):
        raise invalid_token()
    if not isinstance(stamp, str | None):
        raise invalid_token()
    return TokenClaims(claims["sub"], frozenset(grants), float(claims["exp"]), stamp)


def _key_id(token: str) -> str:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise invalid_token() from error
    if not isinstance(key_id, str):
        raise invalid_token()
    return key_id


ReadToken = Callable[[str], Awaitable[TokenClaims]]


class TokenReaderByIssuer:
    """Reads our own tokens and those of one more issuer. The issuer in a token only chooses the reader."""

    def __init__(self, own_issuer: str, own: ReadToken, issuer: str, foreign: ReadToken) -> None:
        self._own_issuer = own_issuer
        self._own = own
        self._issuer = issuer
        self._foreign = foreign

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        issuer = parse_unverified(token).claims.get("iss")
        if issuer == self._issuer:
            return await self._foreign(token)
        if issuer != self._own_issuer:
            raise invalid_token()
        claims = await self._own(token)
        if ISSUER_SEPARATOR in claims.subject:  # an account that is older than the rule for names
            raise invalid_token()
        return claims
