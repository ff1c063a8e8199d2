"""The keys of access tokens: the newest signs, all of them verify, and dropping one ends its tokens."""

from collections.abc import Callable, Sequence

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.errors import KeyRefused
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import audited

PREFIX = "signing:"
KeyMaker = Callable[[], tuple[str, str]]
"""Makes a new key and returns its id and its text."""


class ManageSigningKeys:
    """Manages the signing keys, which all replicas share in the store; only the command line changes them."""

    def __init__(self, store: SQLStore, make: KeyMaker) -> None:
        self._store = store
        self._make = make

    async def list(self) -> Sequence[tuple[str, str]]:
        """Return id and text of each key, oldest first; the last one signs."""
        async with self._store.reading() as view:
            found = await view.service_keys.named(PREFIX)
        return [(name.removeprefix(PREFIX), text) for name, text in found]

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
        """Add a key that signs from now on, and return its id."""
        key_id, text = self._make()
        async with audited(self._store, caller, Action.SIGNING_KEY_ROTATE, key_id) as change:
            await change.work.service_keys.add(f"{PREFIX}{key_id}", text)
        return key_id

    async def drop(self, caller: Principal, key_id: str) -> None:
        """Drop a key, which ends all tokens it signed. Raises `KeyRefused`, also for the key that signs."""
        async with audited(self._store, caller, Action.SIGNING_KEY_DROP, key_id) as change:
            name = f"{PREFIX}{key_id}"
            names = [found for found, _ in await change.work.service_keys.named(PREFIX)]
            if names[-1:] == [name]:
                raise KeyRefused(f"The key {key_id} signs; run `mailsettings key signing rotate` first.")
            _require_found(found=await change.work.service_keys.remove(name))


def _require_found(*, found: bool) -> None:
    if not found:
        raise KeyRefused("There is no key of this id; see `mailsettings key signing list`.")
