"""Parse JWTs and check the rules that make one an access token (RFC 9068, RFC 8725), apart from its signature.

Issuers that follow RFC 9068 set `typ: at+jwt`; most do not. Tokens for other purposes, ID tokens above all, are
recognised by claims that only they contain.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, TypeVar

import jwt

from mailsettings.domain.access import MAX_ACCOUNT_NAME_LENGTH
from mailsettings.domain.errors import NotAuthenticated

MAX_TOKEN_LENGTH = 8 * 1024
"""The longest token, unless the settings allow more."""
MAX_PARSED_TOKENS = 32
"""Kept before their signature is checked: 8 KiB of JSON become objects of twenty times that size."""
MAX_VERIFIED_TOKENS = 1024
MAX_TIMESTAMP = 253402300799
"""The end of the year 9999; a later time is an attack."""

MAX_SHOWN_LENGTH = 200
"""Characters of a claim that a log shows."""

_PART_COUNT = 3  # RFC 7515 3.1: header, payload, signature

Verified = TypeVar("Verified")
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}  # RFC 9068 4; media types are case-insensitive
_CLAIMS_OF_OTHER_TOKENS = (
    *("at_hash", "c_hash", "s_hash"),  # an ID token (OpenID Connect Core 3.3.2.11)
    "events",  # a logout token or another security event (RFC 8417)
    "cnf",  # valid only with proof of a key (RFC 7800), which we do not ask for
)
_SPACE_SEPARATED_CLAIMS = {"scope", "scp"}  # RFC 8693 4.2, and Microsoft's name for it


def require_header(header: Mapping[str, object], algorithms: Collection[str]) -> tuple[str | None, str]:
    """Return key id and algorithm. Raises `NotAuthenticated`, for unknown types and extensions too."""
    kind, key_id, algorithm = header.get("typ", "JWT"), header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise invalid_token("its algorithm (alg) is not accepted here")
    if not isinstance(key_id, str | None):
        raise invalid_token("its key id (kid) is not a text")
    # RFC 7515 4.1.11: a reader must reject extensions that it does not support, and we support none.
    if not isinstance(kind, str) or kind.lower() not in _TYPES or "crit" in header or "b64" in header:
        raise invalid_token("its type (typ) is not that of an access token, or its header has an extension")
    return key_id, algorithm


def require_access_token(
    header: Mapping[str, object], claims: Mapping[str, object], tolerated: Collection[str] = ()
) -> None:
    """Raise `NotAuthenticated` for a token with another purpose, and for times out of range.

    *tolerated* are claims of other tokens that this issuer adds to its access tokens too.
    """
    # Keycloak says what a token is in a claim, Amazon Cognito in another.
    kind = str(claims.get("typ", "Bearer")).lower()
    if kind != "bearer" or claims.get("token_use", "access") != "access":
        raise invalid_token("its claim typ or token_use says that it is not an access token")
    if other := [name for name in _CLAIMS_OF_OTHER_TOKENS if name in claims and name not in tolerated]:
        raise invalid_token(f"it has the claim {other[0]}, which access tokens do not have")
    # Only ID tokens have a nonce, except in older releases of Keycloak, which add the type Bearer.
    may_be_id_token = "typ" not in claims and str(header.get("typ", "")).lower() in {"", "jwt"}
    if "nonce" in claims and may_be_id_token and "nonce" not in tolerated:
        raise invalid_token("it has the claim nonce, as ID tokens have")
    require_timestamps(claims)


def require_timestamps(claims: Mapping[str, object]) -> None:
    """Raise `NotAuthenticated` unless each time in *claims* is a number of seconds up to the year 9999."""
    for name in ("exp", "nbf", "iat"):
        _require_timestamp(name, claims.get(name, 0))


def _require_timestamp(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIMESTAMP:
        raise invalid_token(f"its claim {name} is not a time")


def claim_at(claims: Mapping[str, object], path: Sequence[str]) -> object:
    """Return the claim at *path* through nested objects, None if it is missing."""
    found: object = claims
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def name_at(claims: Mapping[str, object], path: Sequence[str]) -> str:
    """Return the claim at *path* if it can be a caller's name. Raises `NotAuthenticated`."""
    name = claim_at(claims, path)
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_ACCOUNT_NAME_LENGTH:
        raise invalid_token(f"its claim {'.'.join(path)} is missing, or cannot be a name")
    return name


def values_at(claims: Mapping[str, object], path: Sequence[str], *, of_objects: bool = False) -> frozenset[str]:
    """Return the strings at *path*: each of a list, each word of a scope, or the text itself.

    With *of_objects*, an object stands for the names of those members that are objects with members.
    """
    found = claim_at(claims, path)
    if of_objects and isinstance(found, dict):
        return frozenset(name for name, value in found.items() if isinstance(value, dict) and value)
    if isinstance(found, str):
        return frozenset(found.split(" ") if path[-1] in _SPACE_SEPARATED_CLAIMS else [found])
    return (
        frozenset(value for value in found if isinstance(value, str)) if isinstance(found, list) else frozenset()
    )


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The two JSON objects of a JWT."""

    header: dict[str, object]
    claims: dict[str, object]


@lru_cache(MAX_PARSED_TOKENS)  # a request parses twice, for the issuer and for the key
def parse_unverified(token: str, max_length: int = MAX_TOKEN_LENGTH) -> UnverifiedToken:
    """Return the two objects in *token*, if each has one reading only. Raises `NotAuthenticated`."""
    parts = token.split(".")
    if len(token) > max_length:
        raise invalid_token(f"it is longer than {max_length} characters")
    if len(parts) != _PART_COUNT:
        raise invalid_token("it is not a JWT: it does not have three parts")
    return UnverifiedToken(_decode_object(parts[0]), _decode_object(parts[1]))


def remember(verified: OrderedDict[str, Verified], token: str, value: Verified) -> None:
    """Keep *value* for *token*, and drop the oldest above `MAX_VERIFIED_TOKENS`."""
    verified[token] = value
    if len(verified) > MAX_VERIFIED_TOKENS:
        verified.popitem(last=False)


def invalid_token(reason: str) -> NotAuthenticated:
    """Return the error for every token that is not valid, except for an expired token; *reason* is in the log."""
    return NotAuthenticated("The access token is not valid.", presented=True, reason=reason)


def expired_token() -> NotAuthenticated:
    """Return the error for an expired token, which tells the caller to get another."""
    return NotAuthenticated("The access token has expired.", presented=True, reason="it has expired (exp)")


def reason_of(error: jwt.PyJWTError, claims: Mapping[str, object]) -> str:
    """Return which rule of PyJWT a token with *claims* broke; it checks the signature before the claims."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it has no claim {error.claim}"
    if isinstance(error, jwt.InvalidAudienceError) and "aud" in claims:
        return f"its audience (aud) is {bounded(claims['aud'])}, not accepted here"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "its claims are malformed")


def issuer_problem(issuer: object, known: Iterable[str]) -> str:
    """Return why the service has no issuer of this name; the name is not signed, so it is left out."""
    if not isinstance(issuer, str):
        return "its issuer (iss) is missing or not a text"
    if issuer.rstrip("/") in {name.rstrip("/") for name in known}:
        return "its issuer (iss) differs from that in the settings by a final slash alone"
    return "its issuer (iss) is not in the settings"


def bounded(value: object) -> str:
    """Return a claim as a short text without control characters, for a log."""
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"


_REASONS: Sequence[tuple[type[jwt.PyJWTError], str]] = (
    (jwt.InvalidSignatureError, "its signature does not fit the key of its issuer"),
    (jwt.InvalidIssuerError, "its issuer (iss) is not the issuer in the settings"),
    (jwt.ImmatureSignatureError, "it is not valid yet (nbf or iat); compare the clocks"),
)


def _decode_object(part: str) -> dict[str, object]:
    try:
        text = base64.urlsafe_b64decode(part + "==").decode()
        value = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:  # binascii's, json's and Unicode's errors are ValueErrors
        raise invalid_token("its header or its claims are not JSON") from error
    if not isinstance(value, dict):
        raise invalid_token("its header or its claims are not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Reject a claim that is given twice (RFC 7519 4): some readers use the first, others the last."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON
