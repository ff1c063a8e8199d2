"""Idempotency: a repeated request returns the result of the first one and does nothing.

A refusal is not remembered: it changed nothing, and the same request may succeed later.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailsettings.domain.access import Principal
from mailsettings.domain.errors import IdempotencyKeyReused, OutcomeUnknown, RequestInProgress
from mailsettings.domain.idempotency import IdempotencyKey, IdempotentResult
from mailsettings.store.idempotency import SQLIdempotency
from mailsettings.use_cases.audit_log import AuditedChange

RETRY_AFTER_SECONDS = 5
"""When to retry while the first request is running; most connection tests have ended by then."""

Known = TypeVar("Known", bound=IdempotentResult)


async def find_result(
    idempotency: SQLIdempotency,
    caller: Principal,
    idempotency_key: IdempotencyKey,
    kind: type[Known],
    max_seconds: float = 0,
) -> Known | None:
    """Return the result of an earlier identical request; None for the first. No request runs over *max_seconds*.

    Raises `IdempotencyKeyReused`, `RequestInProgress`, `OutcomeUnknown`.
    """
    previous = await idempotency.previous(caller.name, idempotency_key)
    if previous is None:
        return None
    if previous.result is None:
        # The age is negative after a clock was set back.
        raise RequestInProgress(RETRY_AFTER_SECONDS) if abs(previous.age_seconds) < max_seconds else OutcomeUnknown
    # The key was used for another operation, such as a create instead of a test.
    if not isinstance(previous.result, kind):
        raise IdempotencyKeyReused
    idempotency_key.replayed = True
    return previous.result


async def run_once(
    change: AuditedChange,
    caller: Principal,
    idempotency_key: IdempotencyKey | None,
    kind: type[Known],
    do: Callable[[], Awaitable[Known]],
) -> Known:
    """Return what *do* returns, or the earlier result of this *kind*; remember it in the same transaction."""
    if idempotency_key is None:
        return await do()
    found = await find_result(change.work.idempotency, caller, idempotency_key, kind)
    if found is not None:
        change.replayed = True
        return found
    result = await do()
    await change.work.idempotency.remember(caller.name, idempotency_key, result)
    return result
