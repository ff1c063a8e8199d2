"""Fetch the keys that an OpenID Connect issuer publishes (OpenID Connect Discovery 1.0)."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from mailsettings.auth.jwks import KeySet, KeysUnusable, parse_jwks
from mailsettings.auth.trusted_issuer import TrustedIssuer
from mailsettings.domain.values import is_secure_url
from mailsettings.network.http import HTTPClient

FETCH_TIMEOUT_SECONDS = 3
"""For both documents together."""


async def fetch_keys(trusted: TrustedIssuer, http: HTTPClient) -> KeySet:
    """Return the keys that the issuer *trusted* publishes now (OpenID Connect Discovery 1.0).

    Raises `RequestFailed`, `KeysUnusable`.
    """
    deadline = asyncio.get_running_loop().time() + FETCH_TIMEOUT_SECONDS
    # Discovery 4.1: a final slash is removed before the path is appended.
    issuer = trusted.issuer
    described = await _get_json(http, issuer.removesuffix("/") + "/.well-known/openid-configuration", deadline)
    document = await _get_json(http, _jwks_url(issuer, described), deadline)
    return parse_jwks(document, trusted.algorithms, (issuer, *trusted.token_issuers))


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
    named = described.get("issuer")
    if named != issuer:
        slash = isinstance(named, str) and named.rstrip("/") == issuer.rstrip("/")
        difference = ", which differs by a final slash alone" if slash else ""
        raise KeysUnusable(f"it calls itself by another name than the settings do{difference}")
    url = described.get("jwks_uri")
    # Only an issuer on this machine may send us to a port of this machine.
    if not isinstance(url, str) or not is_secure_url(url) or (_is_plain_http(url) and not _is_plain_http(issuer)):
        raise KeysUnusable("its jwks_uri is not an https address")
    return url


def _is_plain_http(url: str) -> bool:
    return urlsplit(url).scheme == "http"
