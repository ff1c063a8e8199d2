"""Issue and verify our own access tokens: signed JWTs (RFC 7519, RFC 9068)."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import jwt

from mailsettings.auth.access_token import invalid_token, parse_unverified, require_timestamps
from mailsettings.auth.signing_keys import ALGORITHM, SigningKeys
from mailsettings.domain.access import ISSUER_SEPARATOR, IssuedToken, TokenClaims
from mailsettings.domain.errors import NotAuthenticated

AUDIENCE = "mailsettings"
MAX_TOKEN_LENGTH = 8 * 1024
MAX_VERIFIED_TOKENS = 1024

VendorClaims = Callable[[Iterable[str]], Mapping[str, object]]
"""What one vendor's clients look for in a token, made from the grants in it."""


class OwnTokenIssuer:
    """Signs tokens; *vendor_claims* add what vendors' clients decode out of them."""

    def __init__(self, keys: SigningKeys, issuer: str, vendor_claims: Iterable[VendorClaims]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._vendor_claims = tuple(vendor_claims)

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        """A token that lets *subject* do what *grants* allow; *stamp* is that of its account, if it has one."""
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
    """Reads our own tokens; remembers what it verified until it expires, or until the key is dropped."""

    def __init__(self, keys: SigningKeys, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._verified: OrderedDict[str, tuple[str, TokenClaims]] = OrderedDict()

    async def read(self, token: str) -> TokenClaims:
        """Raises `NotAuthenticated`, `StoreUnavailable`."""
        known = self._verified.get(token)
        if known is not None and time.time() < known[1].expires_at and await self._keys.verification_key(known[0]):
            return known[1]
        if len(token) > MAX_TOKEN_LENGTH:
            raise NotAuthenticated("The access token is too long.", presented=True)
        key_id = _key_id(token)
        claims = await self._verify(token, key_id)
        self._remember(token, key_id, claims)
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
                # Not `iat`: another replica's clock may be a little ahead of ours.
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("The access token has expired.", presented=True) from None
        except jwt.PyJWTError:
            raise invalid_token() from None
        return _token_claims(claims)

    def _remember(self, token: str, key_id: str, claims: TokenClaims) -> None:
        self._verified[token] = key_id, claims
        if len(self._verified) > MAX_VERIFIED_TOKENS:
            self._verified.popitem(last=False)


def _token_claims(claims: Mapping[str, Any]) -> TokenClaims:
    """What verified *claims* say. Raises `NotAuthenticated` for values that no issued token has."""
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
    except jwt.PyJWTError:
        raise invalid_token() from None
    if not isinstance(key_id, str):
        raise invalid_token()
    return key_id


ReadToken = Callable[[str], Awaitable[TokenClaims]]


class TokenReaderByIssuer:
    """Our own tokens, and those of one more issuer. The name is believed only as far as to choose the reader."""

    def __init__(self, own_issuer: str, own: ReadToken, issuer: str, foreign: ReadToken) -> None:
        self._own_issuer = own_issuer
        self._own = own
        self._issuer = issuer
        self._foreign = foreign

    async def read(self, token: str) -> TokenClaims:
        """What *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        issuer = parse_unverified(token).claims.get("iss")
        if issuer == self._issuer:
            return await self._foreign(token)
        if issuer != self._own_issuer:
            raise invalid_token()
        claims = await self._own(token)
        if ISSUER_SEPARATOR in claims.subject:  # an account from before such names were reserved
            raise invalid_token()
        return claims
