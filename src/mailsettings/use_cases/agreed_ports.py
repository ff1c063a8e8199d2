"""What processes agree on by way of the store, as Protocols like those in `ports`. Its clock is the store's."""

from typing import Protocol

from mailsettings.domain.once import Earlier, Once, Result
from mailsettings.domain.share import Share


class RepeatReads(Protocol):
    """Requests that are to be answered once; their keys are each caller's own."""

    async def earlier(self, caller: str, once: Once) -> Earlier | None:
        """The same request as *caller* sent it before. Raises `RequestRepeatedDifferently`."""
        ...


class Repeats(RepeatReads, Protocol):
    """The same, to be changed."""

    async def remember(self, caller: str, once: Once, result: Result | None = None) -> None:
        """Keep *result*, None for one still to come, in place of what is remembered."""
        ...


class ProbeAdmissionReads(Protocol):
    """Connection tests that were let in."""

    async def of(self, principal: str, longest_seconds: float) -> Share:
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
