"""The keys that secrets are sealed with: changing them while requests run.

Whatever changes the file of keys does so under the writer's lock, which everything that seals takes first.
"""

import asyncio
import time
from dataclasses import replace

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.encryption_keys import EncryptionKeyReport, ResealResult
from mailsettings.store.encryption.key_file import LiveKeys
from mailsettings.store.encryption.key_registry import Position
from mailsettings.store.transactions import SQLStore
from mailsettings.use_cases.audit_log import audited

SECRETS_PER_BATCH = 50
"""How many secrets are sealed anew in one transaction, so for how long requests that write have to wait."""


class ManageEncryptionKeys:
    """The sealing keys; the command line is the only caller, so no permission is asked."""

    def __init__(self, store: SQLStore, ring: LiveKeys) -> None:
        self._store = store
        self._ring = ring

    async def status(self) -> EncryptionKeyReport:
        """All keys, how many secrets need them, and what cannot be opened."""
        async with self._store.reading() as view:
            return await view.encryption_keys.report()

    async def rotate(self, caller: Principal) -> str:
        """Add a new key, which seals from now on; its id. Older keys still open what they sealed."""
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_ROTATE) as change:
            # The file first: a key that only the database knew would be lost if we ended here. One that only the
            # file holds is made known by the next transaction that writes.
            self._ring.add()
            change.target = await change.work.encryption_keys.register_newest()
            return change.target

    async def reseal(self, caller: Principal, batch: int = SECRETS_PER_BATCH) -> ResealResult:
        """Seal everything with the current key, then let secrets of the first format open no more.

        What is interrupted goes on when it is called again.
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
            # SQLite lets those who wait try again now and then, and has no queue: leave them half of the time.
            await asyncio.sleep(time.monotonic() - began)

    async def _bind(self) -> str | None:
        """Mark the keys after the last secret is committed: one of the first format would not open any more."""
        async with self._store.writing():
            return self._ring.bind()

    async def drop(self, caller: Principal, key_id: str) -> str | None:
        """Forget a key; the path of a file that is not ours and still holds it. Raises a `KeyRefused`.

        Nobody can seal while this is decided and done, and afterwards nobody seals with this key, because whoever
        gets the lock next looks at the file and at the database before.
        """
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_DROP, key_id) as change:
            await change.work.encryption_keys.require_droppable(key_id)
            await change.work.encryption_keys.retire(key_id)
            return self._ring.remove(key_id)
