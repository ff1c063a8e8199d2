"""Where an issuer's keys are: it says so itself (OpenID Connect Discovery 1.0)."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mailsettings.auth.fetching import FETCH_TIMEOUT_SECONDS, FetchFailed, get_json
from mailsettings.auth.jwks import KeySet, KeysUnusable, parse_jwks
from mailsettings.domain.secure_url import is_secure_url

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
