"""What changing the sealing keys needs from the outside, as Protocols like those in `ports`."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from mailsettings.domain.encryption_keys import EncryptionKeyReport, ResealResult
from mailsettings.use_cases.ports import AuditLog

Position = tuple[int, Any]
"""Where sealing anew goes on; nobody's business but the store's."""


class SealingKeyReads(Protocol):
    """The keys that secrets are sealed with."""

    async def report(self) -> EncryptionKeyReport:
        """All keys, ours and those the database knows, and every secret that does not open."""
        ...


class SealingKeys(SealingKeyReads, Protocol):
    """The same, to be changed."""

    async def register_newest(self) -> str:
        """Make the key that seals from now on known to the database; its id."""
        ...

    async def reseal(self, position: Position | None, at_most: int) -> tuple[ResealResult, Position | None]:
        """Seal some secrets with the current key; what was done, and where to go on (None: nowhere)."""
        ...

    async def require_droppable(self, key_id: str) -> None:
        """Raise a `KeyRefused` if the key has to stay."""
        ...

    async def retire(self, key_id: str) -> None:
        """Keep every program from sealing with this key from now on."""
        ...


class KeyRing(Protocol):
    """The keys themselves, wherever they are kept."""

    def add(self) -> str:
        """Add a new key, which seals from now on; its id."""
        ...

    def remove(self, key_id: str) -> str | None:
        """Forget a key; the path of a file that is not ours and still holds it."""
        ...

    def bind(self) -> str | None:
        """Let no key open what is not bound to its destination; the path of a file that is not ours to mark."""
        ...


class SealingView(Protocol):
    """The last committed state, as far as keys go."""

    @property
    def encryption_keys(self) -> SealingKeyReads:
        """The keys."""
        ...


class SealingWork(Protocol):
    """One transaction, as far as keys go."""

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...

    @property
    def encryption_keys(self) -> SealingKeys:
        """The keys, as this transaction sees them."""
        ...


class SealingStore(Protocol):
    """A `Store` whose secrets are sealed."""

    def reading(self) -> AbstractAsyncContextManager[SealingView]:
        """The last committed state."""
        ...

    def writing(self) -> AbstractAsyncContextManager[SealingWork]:
        """A transaction; one at a time."""
        ...
