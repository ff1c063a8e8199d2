"""Answering a request once, however often it is sent: what came of it is told again, and nothing is done.

What is refused is not remembered: nothing happened, and the same request may be let in later.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailsettings.domain.access import Principal
from mailsettings.domain.errors import OutcomeUnknown, RequestRepeatedDifferently, StillBeingAnswered
from mailsettings.domain.once import Once, Result
from mailsettings.use_cases.admission import BUSY_SECONDS
from mailsettings.use_cases.agreed_ports import RepeatReads
from mailsettings.use_cases.auditing import Change
from mailsettings.use_cases.ports import UnitOfWork

Known = TypeVar("Known", bound=Result)


async def known(
    repeats: RepeatReads, caller: Principal, once: Once, kind: type[Known], longest_seconds: float = 0
) -> Known | None:
    """What came of the same request before, if it came; it cannot be under way for longer than *longest_seconds*.

    Raises `RequestRepeatedDifferently`, `StillBeingAnswered`, `OutcomeUnknown`.
    """
    earlier = await repeats.earlier(caller.name, once)
    if earlier is None:
        return None
    if earlier.result is None:
        # The age is below nought where a clock was put back.
        raise StillBeingAnswered(BUSY_SECONDS) if abs(earlier.age_seconds) < longest_seconds else OutcomeUnknown
    if not isinstance(earlier.result, kind):
        raise RequestRepeatedDifferently
    once.repeated = True
    return earlier.result


async def done_once(
    change: Change[UnitOfWork],
    caller: Principal,
    once: Once | None,
    kind: type[Known],
    do: Callable[[], Awaitable[Known]],
) -> Known:
    """What *do* returns, or returned before, of this *kind*; remembered in the transaction that it is done in."""
    if once is None:
        return await do()
    found = await known(change.work.repeats, caller, once, kind)
    if found is not None:
        change.repeated = True
        return found
    result = await do()
    await change.work.repeats.remember(caller.name, once, result)
    return result
