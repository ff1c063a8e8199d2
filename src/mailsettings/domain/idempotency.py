"""Idempotency: a request that is executed once, however often it is sent, and the result that is remembered."""

from dataclasses import dataclass, field

from mailsettings.domain.connection_test import ProbeReport

REMEMBERED_SECONDS = 24 * 3600
"""How long a result is remembered."""

IdempotentResult = int | str | ProbeReport
"""The result of a request: the id of a created server, the state of a restored one, or the report of a test."""


@dataclass(slots=True)
class IdempotencyKey:
    """The key that a caller sends with each repeat of one request, and the request, which may hold a password.

    `replayed` becomes true when the result of an earlier request answers this request.
    """

    # Out of reprs, because the request may hold a password.
    key: str = field(repr=False)
    request: bytes = field(repr=False)
    replayed: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class PreviousRequest:
    """An earlier request with the same key; `result` is None while its result is unknown."""

    result: IdempotentResult | None
    age_seconds: float
