"""The Idempotency-Key header: a client can repeat a request safely, since it takes effect once.

The header follows draft-ietf-httpapi-idempotency-key-header, and Stripe's API where the draft leaves a choice.
"""

import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import WithJsonSchema

from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.web.request_errors import ParameterInvalid

BODY_SCOPE_KEY = "mailsettings.body"
"""The key of the body in the scope of a request, once the body is read."""
_SCOPE_KEY = "mailsettings.idempotency"
_HEADER = "Idempotency-Key"
# The draft requires a quoted string; clients send bare text, as to Stripe, with the same limit of 255 characters.
_KEY_PATTERN = re.compile(r"[!-~]{1,255}")

_KeyHeader = Annotated[
    str | None,
    Header(
        alias=_HEADER,
        description="A new random value for each request that must take effect once. A repeated request with "
        "the same key and body within a day changes nothing and gets the first response; with another body it "
        "gets a 409. Error responses are not stored.",
    ),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]+$",
            "examples": ["7f1d3c52-8c0e-4a54-9a3b-0d9a6d1f0c11"],
        }
    ),
]


async def _idempotency_key(request: Request, _key: _KeyHeader = None) -> IdempotencyKey | None:
    """Read the key and what it identifies: the method, the path in the spelling of the route, and the body."""
    keys = request.headers.getlist(_HEADER)
    if not keys:
        return None
    # Two keys would make it ambiguous which stored response applies.
    if len(keys) > 1 or not _KEY_PATTERN.fullmatch(keys[0]):
        raise ParameterInvalid(f"Send {_HEADER} only once, with 1 to 255 visible ASCII characters.")
    line = f"{request.method} {request.scope['path']}\n"
    idempotency_key = IdempotencyKey(keys[0], line.encode() + request.scope.get(BODY_SCOPE_KEY, b""))
    request.scope[_SCOPE_KEY] = idempotency_key
    return idempotency_key


IdempotencyHeader = Annotated[IdempotencyKey | None, Depends(_idempotency_key)]
"""A dependency of operations that are not idempotent by themselves. Raises `ParameterInvalid`."""


def mark_replayed(request: Request, answer: Response) -> None:
    """Mark *answer* if it repeats the response to an earlier request."""
    idempotency_key: IdempotencyKey | None = request.scope.get(_SCOPE_KEY)
    if idempotency_key is not None and idempotency_key.replayed:
        answer.headers["Idempotent-Replayed"] = "true"
