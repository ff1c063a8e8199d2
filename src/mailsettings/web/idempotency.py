"""The header by which a client may send a request again and have it answered once (Idempotency-Key).

draft-ietf-httpapi-idempotency-key-header; what it leaves open is as many clients know it from Stripe.
"""

import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import WithJsonSchema

from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.web.request_errors import ParameterInvalid

BODY_SCOPE_KEY = "mailsettings.body"
"""Where the scope of a request has its body, once it is read."""
_SCOPE_KEY = "mailsettings.once"
_HEADER = "Idempotency-Key"
_KEY_PATTERN = re.compile(r"[!-~]{1,255}")

_KeyHeader = Annotated[
    str | None,
    Header(
        alias=_HEADER,
        description="A new random value for each request that must happen once. A request that comes again with "
        "the same key and body within a day does nothing and gets the answer of the first; with another body it "
        "is a 409. Refusals are not remembered.",
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


def _idempotency_key(request: Request, _key: _KeyHeader = None) -> IdempotencyKey | None:
    """What a caller's key marks: the method, the path as the route spells it, and the body as it was sent."""
    keys = request.headers.getlist(_HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY_PATTERN.fullmatch(keys[0]):
        raise ParameterInvalid(f"{_HEADER} must be 1 to 255 visible ASCII characters, and be there only once.")
    line = f"{request.method} {request.scope['path']}\n"
    idempotency_key = IdempotencyKey(keys[0], line.encode() + request.scope.get(BODY_SCOPE_KEY, b""))
    request.scope[_SCOPE_KEY] = idempotency_key
    return idempotency_key


IdempotencyHeader = Annotated[IdempotencyKey | None, Depends(_idempotency_key)]
"""For each operation that does something anew with each POST. Raises `ParameterInvalid`."""


def mark_replayed(request: Request, answer: Response) -> None:
    """Mark *answer* if it is that of an earlier request."""
    idempotency_key: IdempotencyKey | None = request.scope.get(_SCOPE_KEY)
    if idempotency_key is not None and idempotency_key.replayed:
        answer.headers["Idempotent-Replayed"] = "true"
