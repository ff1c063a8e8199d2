"""The rules of every token endpoint: the parts of RFC 6749 that do not depend on an API.

Two grants: the password of a user (4.3), and the secret of a client (4.4), for machines.
"""

import base64
import binascii
import hmac
from urllib.parse import unquote_plus

from fastapi import Request
from pydantic import SecretStr

from mailsettings.domain.access import AccountKind
from mailsettings.web.auth import origin_of
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE

NO_CACHE = {**NO_STORE, "Pragma": "no-cache"}
"""The headers of every response (RFC 6749 5.1)."""
GRANT_TYPES = {"password": AccountKind.USER, "client_credentials": AccountKind.CLIENT}
"""The kind of account that logs in by each grant."""


class TokenRequestError(Exception):
    """An error of RFC 6749 5.2: its *error* is a code of that section."""

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


async def require_each_once(request: Request, *synonyms: str) -> None:
    """Refuse repeated parameters (RFC 6749 3.2); all *synonyms* together count as one parameter."""
    sent = (await request.form()).multi_items()
    given = [name for name, value in sent if value and name in synonyms]
    if len({name for name, _ in sent}) != len(sent) or len(given) > 1:
        raise TokenRequestError("invalid_request", "a parameter is repeated")


def require_grant_type(grant_type: str) -> AccountKind:
    """Return the kind of account that logs in by *grant_type*. Raises `TokenRequestError`."""
    if not grant_type:
        raise TokenRequestError("invalid_request", "grant_type is missing")
    if grant_type not in GRANT_TYPES:
        raise TokenRequestError("unsupported_grant_type")
    return GRANT_TYPES[grant_type]


def client_credentials(
    request: Request, client_id: str | None, client_secret: SecretStr | None
) -> tuple[str, str]:
    """Return id and secret of the OAuth2 client, from Basic or the form (RFC 6749 2.3.1); empty if missing."""
    shown = _basic(request)
    if shown is not None:
        return shown
    return client_id or "", client_secret.get_secret_value() if client_secret else ""


async def require_client_secret(request: Request, client_secret: SecretStr | None) -> None:
    """Check the client secret of the settings at the login of a user; failed attempts are throttled.

    *client_secret* is that of the form; Basic comes first.
    """
    expected = use_cases(request).client_secret
    if expected is None:
        return
    _, shown = client_credentials(request, None, client_secret)
    if not hmac.compare_digest(_bytes(shown), _bytes(expected)):
        await use_cases(request).log_in.note_wrong_client(origin_of(request.scope))
        raise TokenRequestError("invalid_client")


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise TokenRequestError("invalid_client") from None
    return unquote_plus(name), unquote_plus(secret)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
