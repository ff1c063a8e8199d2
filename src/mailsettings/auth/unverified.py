"""What a token says before anybody has verified it: good for choosing a key, and to be believed in nothing."""

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from mailsettings.domain.errors import NotAuthenticated

MAX_TOKEN_LENGTH = 8 * 1024
MAX_PARSED_TOKENS = 32
"""Anybody can send some, and what 8 KiB of JSON turn into takes twenty times as much."""
_PART_COUNT = 3  # RFC 7515 3.1: header, payload, signature


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The two JSON objects of a JWT."""

    header: dict[str, object]
    claims: dict[str, object]


@lru_cache(MAX_PARSED_TOKENS)  # a request asks twice, for the issuer and for the key, and callers may come again
def parse_unverified(token: str) -> UnverifiedToken:
    """The token's parts, each of which can mean one thing only. Raises `NotAuthenticated`."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_LENGTH or len(parts) != _PART_COUNT:
        raise invalid_token()
    return UnverifiedToken(_decode_object(parts[0]), _decode_object(parts[1]))


def invalid_token() -> NotAuthenticated:
    """The refusal of a token, whatever is wrong with it; only that it has expired is told apart."""
    return NotAuthenticated("The access token is not valid.", presented=True)


def _decode_object(part: str) -> dict[str, object]:
    try:
        text = base64.urlsafe_b64decode(part + "==").decode()
        value = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except (ValueError, RecursionError):  # binascii's, json's and Unicode's errors are ValueErrors
        raise invalid_token() from None
    if not isinstance(value, dict):
        raise invalid_token()
    return value


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """RFC 7519 4 lets a reader refuse a claim that is given twice; others would read the first, or the last."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON
