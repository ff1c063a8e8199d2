"""Management of encryption keys and signing keys."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.encryption_keys import EncryptionKeyReport, ResealResult
from mailsettings.domain.errors import KeyRefused, SigningKeyNotFound
from mailsettings.domain.service import SigningKeyFacts
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import LiveKeys
from mailsettings.store.encryption.key_registry import Position
from mailsettings.use_cases.audit_log import audited

SECRETS_PER_BATCH = 50
"""Secrets per transaction of `reseal`; a larger batch keeps writing requests waiting longer."""


class ManageEncryptionKeys:
    """Manages the encryption keys. Rotating and dropping stay on the machine that has the key file."""

    def __init__(self, store: SQLStore, ring: LiveKeys) -> None:
        self._store = store
        self._ring = ring

    async def status(self, caller: Principal) -> EncryptionKeyReport:
        """Return all keys, how many secrets need each of them, and which secrets cannot be decrypted.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.KEYS_MANAGE)
        async with self._store.reading() as view:
            return await view.encryption_keys.report()

    async def rotate(self, caller: Principal) -> str:
        """Add a key that seals from now on, and return its id. Older keys still open what they sealed."""
        caller.require(Permission.KEYS_MANAGE)
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_ROTATE) as change:
            # The file first: a key that only the database knew would be lost if the process ended in between,
            # while a key that only the file has is registered by the next transaction that writes.
            self._ring.add()
            change.target = await change.work.encryption_keys.register_newest()
            return change.target

    async def outdated(self, caller: Principal) -> int:
        """Return how many secrets `reseal` would seal again. Raises `PermissionDenied`."""
        caller.require(Permission.KEYS_MANAGE)
        async with self._store.reading() as view:
            return await view.encryption_keys.outdated()

    async def reseal(
        self,
        caller: Principal,
        batch: int = SECRETS_PER_BATCH,
        on_progress: Callable[[ResealResult], Awaitable[None]] | None = None,
    ) -> ResealResult:
        """Seal all secrets with the current key, then refuse secrets in the first format.

        After an interruption, call it again to continue. *on_progress* gets the result so far after each batch.
        Raises `PermissionDenied`.
        """
        caller.require(Permission.KEYS_MANAGE)
        done = ResealResult()
        position: Position | None = None
        while True:
            async with audited(self._store, caller, Action.ENCRYPTION_KEY_RESEAL) as change:
                began = time.monotonic()
                more, position = await change.work.encryption_keys.reseal(position, batch)
                change.details.update(count=more.count, unreadable=list(more.unreadable))
            done += more
            if on_progress is not None:
                await on_progress(done)
            if position is None:
                return replace(done, unmarked=await self._bind())
            # SQLite has no queue of writers, only retries: leave half of the time to others.
            await asyncio.sleep(time.monotonic() - began)

    async def _bind(self) -> str | None:
        """Mark the keys after the last secret was committed, because marked keys refuse the first format."""
        async with self._store.writing():
            return self._ring.bind()

    async def drop(self, caller: Principal, key_id: str) -> str | None:
        """Drop a key; return the path of a read-only key file that still has it.

        Raises `PermissionDenied`, and `KeyRefused` for a key that must stay.

        The writer's lock keeps every process from sealing meanwhile. No process seals with the key afterwards,
        because each one reads the file and the database after it gets the lock.
        """
        caller.require(Permission.KEYS_MANAGE)
        async with audited(self._store, caller, Action.ENCRYPTION_KEY_DROP, key_id) as change:
            await change.work.encryption_keys.require_droppable(key_id)
            await change.work.encryption_keys.retire(key_id)
            return self._ring.remove(key_id)


PREFIX = "signing:"
KeyMaker = Callable[[], tuple[str, str]]
"""Makes a new key and returns its id and its text."""


class ManageSigningKeys:
    """Manages the signing keys, which all replicas share in the store."""

    def __init__(self, store: SQLStore, make: KeyMaker) -> None:
        self._store = store
        self._make = make

    async def list(self) -> Sequence[tuple[str, str]]:
        """Return id and text of each key, oldest first; the last one signs."""
        async with self._store.reading() as view:
            found = await view.service_keys.named(PREFIX)
        return [(name.removeprefix(PREFIX), text) for name, text in found]

    async def facts(self, caller: Principal) -> Sequence[SigningKeyFacts]:
        """Return what people may know of each key, oldest first; the last one signs. Raises `PermissionDenied`."""
        caller.require(Permission.KEYS_MANAGE)
        async with self._store.reading() as view:
            found = await view.service_keys.created(PREFIX)
        last = len(found)
        return [
            SigningKeyFacts(name.removeprefix(PREFIX), at, signs=number == last)
            for number, (name, at) in enumerate(found, 1)
        ]

    async def ensure(self) -> None:
        """Make a first key if none exists."""
        # The common case needs no writer's lock.
        if await self.list():
            return
        async with self._store.writing() as work:
            if not await work.service_keys.named(PREFIX):
                key_id, text = self._make()
                await work.service_keys.add(f"{PREFIX}{key_id}", text)

    async def rotate(self, caller: Principal) -> str:
        """Add a key that signs from now on, and return its id. Raises `PermissionDenied`."""
        caller.require(Permission.KEYS_MANAGE)
        key_id, text = self._make()
        async with audited(self._store, caller, Action.SIGNING_KEY_ROTATE, key_id) as change:
            await change.work.service_keys.add(f"{PREFIX}{key_id}", text)
        return key_id

    async def drop(self, caller: Principal, key_id: str) -> None:
        """Drop a key, which ends all tokens it signed.

        Raises `PermissionDenied`, `SigningKeyNotFound`, and `KeyRefused` for the key that signs.
        """
        caller.require(Permission.KEYS_MANAGE)
        async with audited(self._store, caller, Action.SIGNING_KEY_DROP, key_id) as change:
            name = f"{PREFIX}{key_id}"
            names = [found for found, _ in await change.work.service_keys.named(PREFIX)]
            if names[-1:] == [name]:
                raise KeyRefused(f"The key {key_id} signs; rotate the signing keys first.")
            _require_found(found=await change.work.service_keys.remove(name))


def _require_found(*, found: bool) -> None:
    if not found:
        raise SigningKeyNotFound
