"""Access tokens of an OpenID Connect issuer: verified by its keys, mapped to our grants.

Its callers are named `<issuer's name>|<subject>`. No account here has that mark in its name, so no caller of the
issuer can take the name of an account; and no two issuers have the same name.
"""

import time
from collections.abc import Callable

import jwt

from mailsettings.auth.access_token import (
    UnverifiedToken,
    invalid_token,
    name_at,
    parse_unverified,
    remember,
    require_access_token,
    require_header,
)
from mailsettings.auth.discovery import fetch_keys
from mailsettings.auth.jwks import CachedIssuerKeys
from mailsettings.auth.trusted_issuer import TrustedIssuer
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims
from mailsettings.domain.errors import NotAuthenticated
from mailsettings.network.http import HTTPClient

LEEWAY_SECONDS = 30


class OIDCTokenReader:
    """Reads the tokens of one issuer; remembers which it verified until the issuer's keys are fetched again."""

    def __init__(
        self, trusted: TrustedIssuer, http: HTTPClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = trusted
        self._keys = CachedIssuerKeys(lambda: fetch_keys(trusted.issuer, http), clock)

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        unverified = parse_unverified(token)
        key_id, algorithm = require_header(unverified.header)
        keys = await self._keys.current()
        known = keys.verified.get(token)
        if known is not None and time.time() < known.expires_at:
            return known
        key = keys.find(key_id, algorithm)
        if key is None:
            keys = await self._keys.refreshed()
            key = keys.find(key_id, algorithm)
        if key is None:
            raise invalid_token()
        claims = self._claims(token, unverified, key)
        remember(keys.verified, token, claims)
        return claims

    def _claims(self, token: str, unverified: UnverifiedToken, key: jwt.PyJWK) -> TokenClaims:
        require_access_token(unverified.header, unverified.claims)
        self._require_signed(token, key)
        name = name_at(unverified.claims, self._trusted.subject_claim)
        subject = f"{self._trusted.caller_prefix}{ISSUER_SEPARATOR}{name}"
        return TokenClaims(
            subject, self._trusted.grants_of(unverified.claims), float(str(unverified.claims["exp"]))
        )

    def _require_signed(self, token: str, key: jwt.PyJWK) -> None:
        try:
            jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the token's, see `KeySet.find`
                audience=self._trusted.audiences,
                issuer=self._trusted.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise NotAuthenticated("The access token has expired.", presented=True) from error
        except jwt.PyJWTError as error:
            raise invalid_token() from error
