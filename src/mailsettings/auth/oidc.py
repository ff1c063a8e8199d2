"""Access tokens of the organisation's OpenID Connect issuer: verified by its keys, mapped to our grants.

Its callers are named `<issuer's host>|<subject>`. No account here has that mark in its name, so no caller of the
issuer can take the name of an account.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import jwt

from mailsettings.auth.access_token import (
    UnverifiedToken,
    invalid_token,
    name_at,
    parse_unverified,
    remember,
    require_access_token,
    require_header,
    values_at,
)
from mailsettings.auth.jwks import CachedIssuerKeys, KeySet, KeysUnusable, parse_jwks
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims
from mailsettings.domain.errors import NotAuthenticated
from mailsettings.domain.values import is_secure_url
from mailsettings.network.http import HTTPClient

LEEWAY_SECONDS = 30
FETCH_TIMEOUT_SECONDS = 3
"""For both documents together."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer, the audiences that its tokens must name one of, and what they allow here.

    `grants` are our grant names by the values of the claim at `permissions_claim`.
    """

    issuer: str
    audiences: tuple[str, ...]
    grants: Mapping[str, frozenset[str]]
    permissions_claim: tuple[str, ...] = ("roles",)
    subject_claim: tuple[str, ...] = ("sub",)


class OIDCTokenReader:
    """Reads the tokens of one issuer; remembers which it verified until the issuer's keys are fetched again."""

    def __init__(
        self, trusted: TrustedIssuer, http: HTTPClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = trusted
        self._host = urlsplit(trusted.issuer).hostname
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
        values = values_at(unverified.claims, self._trusted.permissions_claim)
        granted = (self._trusted.grants.get(value, frozenset()) for value in values)
        expires_at = float(str(unverified.claims["exp"]))
        return TokenClaims(f"{self._host}{ISSUER_SEPARATOR}{name}", frozenset[str]().union(*granted), expires_at)

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


async def fetch_keys(issuer: str, http: HTTPClient) -> KeySet:
    """Return the keys that *issuer* publishes now (OpenID Connect Discovery 1.0).

    Raises `RequestFailed`, `KeysUnusable`.
    """
    deadline = asyncio.get_running_loop().time() + FETCH_TIMEOUT_SECONDS
    # Discovery 4.1: a final slash is removed before the path is appended.
    described = await _get_json(http, issuer.removesuffix("/") + "/.well-known/openid-configuration", deadline)
    return parse_jwks(await _get_json(http, _jwks_url(issuer, described), deadline))


async def _get_json(http: HTTPClient, url: str, deadline: float) -> Mapping[str, object]:
    response = await http.request("GET", url, headers={"accept": "application/json"}, deadline=deadline)
    if response.status_code != HTTPStatus.OK:
        raise KeysUnusable(f"its response has the status {response.status_code}")
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise KeysUnusable("its response is not JSON") from error
    if not isinstance(value, dict):
        raise KeysUnusable("its response is not a JSON object")
    return value


def _jwks_url(issuer: str, described: Mapping[str, object]) -> str:
    # Discovery 4.3: exactly; else the document of one issuer could speak for another.
    if described.get("issuer") != issuer:
        raise KeysUnusable("it calls itself by another name than MAILSETTINGS_OIDC_ISSUER")
    url = described.get("jwks_uri")
    # Only an issuer on this machine may send us to a port of this machine.
    if not isinstance(url, str) or not is_secure_url(url) or (_is_plain_http(url) and not _is_plain_http(issuer)):
        raise KeysUnusable("its jwks_uri is not an https address")
    return url


def _is_plain_http(url: str) -> bool:
    return urlsplit(url).scheme == "http"
