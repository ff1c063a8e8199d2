"""What processes agree on by way of the store, as Protocols like those in `ports`. Its clock is the store's."""

from typing import Protocol

from mailsettings.domain.connection_test import Usage
from mailsettings.domain.idempotency import IdempotencyKey, IdempotentResult, PreviousRequest


class RepeatReads(Protocol):
    """Requests that are to be answered once; their keys are each caller's own."""

    async def previous(self, caller: str, idempotency_key: IdempotencyKey) -> PreviousRequest | None:
        """The same request as *caller* sent it before. Raises `IdempotencyKeyReused`."""
        ...


class Repeats(RepeatReads, Protocol):
    """The same, to be changed."""

    async def remember(
        self, caller: str, idempotency_key: IdempotencyKey, result: IdempotentResult | None = None
    ) -> None:
        """Keep *result*, None for one still to come, in place of what is remembered."""
        ...


class ProbeAdmissionReads(Protocol):
    """Connection tests that were let in."""

    async def of(self, principal: str, max_seconds: float) -> Usage:
        """What *principal* has; a test that has not ended after *longest_seconds* never will."""
        ...


class ProbeAdmissions(ProbeAdmissionReads, Protocol):
    """The same, to be changed."""

    async def begin(self, principal: str) -> str:
        """Count one more of *principal*, until it ends by the id that this returns."""
        ...

    async def end(self, test_id: str) -> None:
        """It does not run any more."""
        ...
