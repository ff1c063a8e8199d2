"""What login throttling needs from the store."""

from collections.abc import Collection, Mapping
from typing import Protocol

from mailsettings.domain.login_throttling import Failures, LoginAttempt, ThrottleKey


class LoginFailureReads(Protocol):
    """Failed logins by what some of them have in common."""

    async def of(self, subjects: Collection[ThrottleKey]) -> Mapping[ThrottleKey, Failures]:
        """What is remembered of each of *subjects*; no failures where nothing is."""
        ...


class LoginFailures(LoginFailureReads, Protocol):
    """The same, to be changed."""

    async def remember(self, subject: ThrottleKey, failures: Failures) -> None:
        """Keep *failures* in place of what is remembered of *subject*."""
        ...

    async def forget(self, subject: ThrottleKey) -> None:
        """Remember nothing of *subject* any more."""
        ...

    async def forget_account(self, name: str) -> None:
        """Remember nothing of the subjects of one account any more."""
        ...

    async def forget_before(self, moment: float) -> None:
        """Remember nothing of subjects whose last failure was before *moment*, in seconds since the epoch."""
        ...


class KnownNeighbourhoodReads(Protocol):
    """The neighbourhoods from which each account logged in lately."""

    async def knows(self, attempt: LoginAttempt, now: float) -> bool:
        """Whether the account logged in from the neighbourhood within `KNOWN_NETWORK_SECONDS` before *now*."""
        ...


class KnownNeighbourhoods(KnownNeighbourhoodReads, Protocol):
    """The same, to be changed."""

    async def remember(self, attempt: LoginAttempt, now: float) -> None:
        """Note a login; forget networks that are too old, or beyond `MAX_KNOWN_NETWORKS_PER_ACCOUNT`."""
        ...

    async def forget_account(self, name: str) -> None:
        """Know no neighbourhood of one account any more."""
        ...
