"""Access tokens: signed JWTs (RFC 7519, ES256) that we issue, and verify against our own key only."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.domain.access import Grants, Principal
from mailsettings.domain.errors import NotAuthenticated

ALGORITHM = "ES256"
AUDIENCE = "mailsettings"
LONGEST_TOKEN = 8 * 1024
VERIFIED_TOKENS_KEPT = 1024

VendorClaims = Callable[[Iterable[str]], Mapping[str, object]]
"""What one vendor's clients look for in a token, made from the grants in it."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and how many seconds it is good for."""

    text: str = field(repr=False)
    expires_in: int


class TokenIssuer:
    """Signs tokens; *vendor_claims* add what vendors' clients decode out of them."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, issuer: str, vendor_claims: Iterable[VendorClaims]
    ) -> None:
        self._key = key
        self._issuer = issuer
        self._vendor_claims = tuple(vendor_claims)

    def issue(self, subject: str, grants: Iterable[str], lifetime_seconds: int) -> IssuedToken:
        """A token that lets *subject* do what *grants* allow, from now on for *lifetime_seconds*."""
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
        return IssuedToken(jwt.encode(claims, self._key, ALGORITHM, {"typ": "at+jwt"}), lifetime_seconds)


class TokenVerifier:
    """Tells who a token speaks for, by our own key; remembers what it verified until it expires."""

    def __init__(self, key: ec.EllipticCurvePublicKey, issuer: str, grants: Grants) -> None:
        self._key = key
        self._issuer = issuer
        self._grants = grants
        self._verified: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Raises `NotAuthenticated`."""
        known = self._verified.get(token)
        if known is not None and time.time() < known[1]:
            return known[0]
        principal, expiry = self._verify(token)
        self._remember(token, principal, expiry)
        return principal

    def _verify(self, token: str) -> tuple[Principal, float]:
        if len(token) > LONGEST_TOKEN:
            raise NotAuthenticated("The access token is too long.", presented=True)
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Not `iat`: another replica's clock may be a little ahead of ours.
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("The access token has expired.", presented=True) from None
        except jwt.PyJWTError:
            raise NotAuthenticated("The access token is not valid.", presented=True) from None
        granted = claims.get("grants", ())
        permissions = frozenset().union(*(self._grants.get(name, frozenset()) for name in granted))
        return Principal(claims["sub"], permissions), float(claims["exp"])

    def _remember(self, token: str, principal: Principal, expiry: float) -> None:
        self._verified[token] = (principal, expiry)
        if len(self._verified) > VERIFIED_TOKENS_KEPT:
            self._verified.popitem(last=False)
