"""Access tokens of an OpenID Connect issuer of the organisation's: verified by its keys, mapped to our grants.

Somebody it vouches for is named `<issuer's host>|<subject>`. No name of ours has that mark in it, so that nobody
elsewhere can take the name of an account here.
"""

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt

from mailsettings.auth.access_token import name_at, require_access_token, require_header, values_at
from mailsettings.auth.discovery import make_key_fetcher
from mailsettings.auth.issuer_keys import CachedIssuerKeys
from mailsettings.auth.jwks import KeySet, VerificationKey
from mailsettings.auth.unverified import UnverifiedToken, invalid_token, parse_unverified
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims
from mailsettings.domain.errors import NotAuthenticated

LEEWAY_SECONDS = 30
MAX_VERIFIED_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer, whom its tokens have to be for, and what they are good for here.

    `grants` are our grant names by the values of the claim at `permissions_claim`.
    """

    issuer: str
    audiences: tuple[str, ...]
    grants: Mapping[str, frozenset[str]]
    permissions_claim: tuple[str, ...] = ("roles",)
    subject_claim: tuple[str, ...] = ("sub",)


class OIDCTokenReader:
    """Reads the tokens of one issuer; remembers what it verified until the issuer's keys are fetched anew."""

    def __init__(
        self, trusted: TrustedIssuer, tls: ssl.SSLContext, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = trusted
        self._host = urlsplit(trusted.issuer).hostname
        self._keys = CachedIssuerKeys(make_key_fetcher(trusted.issuer, tls), clock)
        self._verified: OrderedDict[str, TokenClaims] = OrderedDict()
        self._verified_by: KeySet | None = None

    async def read(self, token: str) -> TokenClaims:
        """What *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        unverified = parse_unverified(token)
        key_id, algorithm = require_header(unverified.header)
        keys = await self._keys.current()
        known = self._remembered(token, keys)
        if known is not None:
            return known
        key = keys.find(key_id, algorithm)
        if key is None:
            keys = await self._keys.renewed()
            key = keys.find(key_id, algorithm)
        if key is None:
            raise invalid_token()
        claims = self._claims(token, unverified, key, algorithm)
        self._remember(token, claims, keys)
        return claims

    def _claims(
        self, token: str, unverified: UnverifiedToken, key: VerificationKey, algorithm: str
    ) -> TokenClaims:
        require_access_token(unverified.header, unverified.claims)
        self._require_signed(token, key, algorithm)
        name = name_at(unverified.claims, self._trusted.subject_claim)
        values = values_at(unverified.claims, self._trusted.permissions_claim)
        granted = (self._trusted.grants.get(value, frozenset()) for value in values)
        expires_at = float(str(unverified.claims["exp"]))
        return TokenClaims(f"{self._host}{ISSUER_SEPARATOR}{name}", frozenset[str]().union(*granted), expires_at)

    def _require_signed(self, token: str, key: VerificationKey, algorithm: str) -> None:
        try:
            jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],  # one of ours, and of this key's: see `KeySet.find`
                audience=self._trusted.audiences,
                issuer=self._trusted.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("The access token has expired.", presented=True) from None
        except jwt.PyJWTError:
            raise invalid_token() from None

    def _remembered(self, token: str, keys: KeySet) -> TokenClaims | None:
        if keys is not self._verified_by:
            self._verified.clear()
        known = self._verified.get(token)
        return known if known is not None and time.time() < known.expires_at else None

    def _remember(self, token: str, claims: TokenClaims, keys: KeySet) -> None:
        if keys is not self._verified_by:
            self._verified.clear()
            self._verified_by = keys
        self._verified[token] = claims
        if len(self._verified) > MAX_VERIFIED_TOKENS:
            self._verified.popitem(last=False)
