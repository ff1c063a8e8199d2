"""Rotates, reseals and drops encryption keys while requests run.

Each change of the key file happens under the writer's lock, which every transaction that seals takes first.
"""

import asyncio
import time
from dataclasses import replace

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.encryption_keys import EncryptionKeyReport, ResealResult
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import LiveKeys
from mailsettings.store.encryption.key_registry import Position
from mailsettings.use_cases.audit_log import audited

SECRETS_PER_BATCH = 50
"""Secrets per transaction of `reseal`; a larger batch keeps writing requests waiting longer."""


class ManageEncryptionKeys:
    """Manages the encryption keys; only the command line calls it, so it checks no permission."""

    def __init__(self, store: SQLStore, ring: LiveKeys) -> None:
        self._store = store
        self._ring = ring

    async def status(self) -> EncryptionKeyReport:
        """Return all keys, how many secrets need each of them, and which secrets cannot be decrypted."""
        async with self._store.reading() as view:
            return await view.encryption_keys.report()

    async def rotate(self, caller: Principal) -> str:
        """Add a key that seals from now on, and return its id. Older keys still open what they sealed."""
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_ROTATE) as change:
            # The file first: a key that only the database knew would be lost if the process ended in between,
            # while a key that only the file has is registered by the next transaction that writes.
            self._ring.add()
            change.target = await change.work.encryption_keys.register_newest()
            return change.target

    async def reseal(self, caller: Principal, batch: int = SECRETS_PER_BATCH) -> ResealResult:
        """Seal all secrets with the current key, then refuse secrets in the first format.

        After an interruption, call it again to continue.
        """
        done = ResealResult()
        position: Position | None = None
        while True:
            async with audited(self._store, caller, Action.ENCRYPTION_KEY_RESEAL) as change:
                began = time.monotonic()
                more, position = await change.work.encryption_keys.reseal(position, batch)
                change.details.update(count=more.count, unreadable=list(more.unreadable))
            done += more
            if position is None:
                return replace(done, unmarked=await self._bind())
            # SQLite has no queue of writers, only retries: leave half of the time to others.
            await asyncio.sleep(time.monotonic() - began)

    async def _bind(self) -> str | None:
        """Mark the keys after the last secret was committed, because marked keys refuse the first format."""
        async with self._store.writing():
            return self._ring.bind()

    async def drop(self, caller: Principal, key_id: str) -> str | None:
        """Drop a key; return the path of a read-only key file that still has it. Raises a `KeyRefused`.

        The writer's lock keeps every process from sealing meanwhile. No process seals with the key afterwards,
        because each one reads the file and the database after it gets the lock.
        """
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_DROP, key_id) as change:
            await change.work.encryption_keys.require_droppable(key_id)
            await change.work.encryption_keys.retire(key_id)
            return self._ring.remove(key_id)
