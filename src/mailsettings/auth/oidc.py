"""Access tokens of an OpenID Connect issuer: verified by its keys, mapped to our grants.

Its callers are named `<issuer's name>|<subject>`. No account here has that mark in its name, so no caller of the
issuer can take the name of an account; and no two issuers have the same name.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

import jwt

from mailsettings.auth.access_token import (
    UnverifiedToken,
    expired_token,
    invalid_token,
    parse_unverified,
    reason_of,
    remember,
    require_access_token,
    require_header,
)
from mailsettings.auth.discovery import fetch_keys
from mailsettings.auth.jwks import CachedIssuerKeys, KeySet
from mailsettings.auth.trusted_issuer import TrustedIssuer
from mailsettings.domain.access import TokenClaims
from mailsettings.domain.errors import IdentityUnavailable
from mailsettings.network.http import HTTPClient

LEEWAY_SECONDS = 30

_log = logging.getLogger("mailsettings.issuer")


class OIDCTokenReader:
    """Reads the tokens of one issuer; remembers which it verified until the issuer's keys are fetched again."""

    def __init__(
        self, trusted: TrustedIssuer, http: HTTPClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.trusted = trusted
        self._fetch = partial(fetch_keys, trusted, http)
        self._keys = CachedIssuerKeys(trusted.issuer, self._fetch, clock)

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        unverified = parse_unverified(token, self.trusted.max_token_length)
        require_header(unverified.header, self.trusted.algorithms)
        keys = await self._keys.current()
        known = keys.verified.get(token)
        if known is not None and time.time() < known.expires_at:
            return known
        keys, key = await self._key_of(unverified)
        claims = self._claims(token, unverified, key)
        remember(keys.verified, token, claims)
        return claims

    async def require_signature(self, token: str) -> None:
        """Check nothing but that the issuer signed *token*. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        _, key = await self._key_of(parse_unverified(token, self.trusted.max_token_length))
        try:
            jwt.PyJWS().decode(token, key, [key.algorithm_name])
        except jwt.PyJWTError as error:
            raise invalid_token(reason_of(error, {})) from error

    async def ask_issuer(self) -> None:
        """Fetch the keys now, so that the log has a problem of the issuer before a caller meets it."""
        try:
            keys = (await self._keys.current()).keys
        except IdentityUnavailable:
            return  # the fetch has logged why
        if keys:
            _log.info("The issuer %s publishes %d usable keys.", self.trusted.issuer, len(keys))
        else:
            _log.warning("The issuer %s publishes no usable key, so no token of it is valid.", self.trusted.issuer)

    async def published_keys(self) -> int:
        """Return how many usable keys the issuer publishes now. Raises `RequestFailed`, `KeysUnusable`."""
        return len((await self._fetch()).keys)

    async def _key_of(self, unverified: UnverifiedToken) -> tuple[KeySet, jwt.PyJWK]:
        """Return the key that the header names, and its set; fetch the keys again if it is new."""
        key_id, algorithm = require_header(unverified.header, self.trusted.algorithms)
        keys = await self._keys.current()
        key = keys.find(key_id, algorithm)
        if key is None:
            keys = await self._keys.refreshed()
            key = keys.find(key_id, algorithm)
        if key is None:
            raise invalid_token("its issuer publishes no key, or several, for its key id (kid) and algorithm")
        return keys, key

    def _claims(self, token: str, unverified: UnverifiedToken, key: jwt.PyJWK) -> TokenClaims:
        claims, trusted = unverified.claims, self.trusted
        require_access_token(unverified.header, claims, trusted.id_token_claims)
        self._require_signed(token, claims, key)
        trusted.require_meant(claims)
        return TokenClaims(trusted.caller_of(claims), trusted.grants_of(claims), float(str(claims["exp"])))

    def _require_signed(self, token: str, claims: Mapping[str, object], key: jwt.PyJWK) -> None:
        try:
            jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the token's, see `KeySet.find`
                audience=self.trusted.audiences or None,
                issuer=self.trusted.accepted_issuers,
                leeway=LEEWAY_SECONDS,
                options={"require": self.trusted.required_claims},
            )
        except jwt.ExpiredSignatureError as error:
            raise expired_token() from error
        except jwt.PyJWTError as error:
            raise invalid_token(reason_of(error, claims)) from error
