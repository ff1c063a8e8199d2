"""Verify access tokens of the organisation's OpenID Connect issuer, and map them to our grants.

A subject of the issuer is named `<issuer's host>|<subject>`. Our own account names cannot contain that mark, so an
issuer's user can never take the name of an account here.
"""

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jwt

from mailsettings.auth.access_token import (
    UnverifiedToken,
    invalid_token,
    name_at,
    parse_unverified,
    require_access_token,
    require_header,
    values_at,
)
from mailsettings.auth.fetching import FETCH_TIMEOUT_SECONDS, FetchFailed, get_json
from mailsettings.auth.jwks import CachedIssuerKeys, KeySet, KeysUnusable, VerificationKey, parse_jwks
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims
from mailsettings.domain.errors import NotAuthenticated
from mailsettings.domain.syntax import is_secure_url

WELL_KNOWN = "/.well-known/openid-configuration"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What issuers are verified by: the system's authorities, or those in *ca_file* alone. Raises `OSError`."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # On since Python 3.13; it refuses authorities as `openssl req -x509` makes them, with no key usage.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def make_key_fetcher(issuer: str, tls: ssl.SSLContext) -> Callable[[], KeySet]:
    """What gets the keys that *issuer* has now, within three seconds; it blocks and raises `FetchFailed`."""

    def fetch() -> KeySet:
        deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS
        # Discovery 4.1: a final slash is taken off before the rest is put on.
        described = get_json(issuer.removesuffix("/") + WELL_KNOWN, tls, deadline)
        document = get_json(_jwks_url(issuer, described), tls, deadline)
        try:
            return parse_jwks(document)
        except KeysUnusable as unusable:
            raise FetchFailed(str(unusable)) from None

    return fetch


def _jwks_url(issuer: str, described: dict[str, object]) -> str:
    # Discovery 4.3: exactly; else one issuer's document could speak for another.
    if described.get("issuer") != issuer:
        raise FetchFailed("The issuer describes itself by another name than MAILSETTINGS_OIDC_ISSUER.")
    url = described.get("jwks_uri")
    # Only an issuer on this machine may send us to a port of it.
    if not isinstance(url, str) or not is_secure_url(url) or (_is_plain_http(url) and not _is_plain_http(issuer)):
        raise FetchFailed("The issuer's jwks_uri is not an https address.")
    return url


def _is_plain_http(url: str) -> bool:
    return urlsplit(url).scheme == "http"


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
