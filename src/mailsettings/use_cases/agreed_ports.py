"""What processes agree on by way of the store, as Protocols like those in `ports`. Its clock is the store's."""

from typing import Protocol

from mailsettings.domain.share import Share


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
