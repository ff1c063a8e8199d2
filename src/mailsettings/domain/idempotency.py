"""A request that is to be answered once, however often it is sent, and what is remembered of it."""

from dataclasses import dataclass, field

from mailsettings.domain.connection_test import ProbeReport

REMEMBERED_SECONDS = 24 * 3600
"""How long it is remembered after it was answered."""

IdempotentResult = int | str | ProbeReport
"""What came of a request: the id of what was made, the state of what was restored, or what a test found."""


@dataclass(slots=True)
class IdempotencyKey:
    """The key by which a caller marks the repeats of one request, and the request, which may hold a password.

    `replayed` is set as soon as it is answered with what came of an earlier one.
    """

    key: str = field(repr=False)
    request: bytes = field(repr=False)
    replayed: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class PreviousRequest:
    """The same request as it came before; `result` is None as long as none is known."""

    result: IdempotentResult | None
    age_seconds: float
