"""The places of this relay at mail servers, which all relays of one database hold by lease.

A grant counts from before the question, so it ends here before the database gives the place to another relay.
"""

from collections.abc import Collection, Mapping

from mailsettings.domain.relay_places import PLACE_LEASE_SECONDS, PlaceGrant
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.lease import shielded


class RelayPlaces:
    """The places of the relay *holder*; at most *limit* for a mailbox, over all relays."""

    def __init__(
        self, store: SQLStore, holder: str, limit: int, lease_seconds: float = PLACE_LEASE_SECONDS
    ) -> None:
        self._store = store
        self._holder = holder
        self._limit = limit
        self.lease_seconds = lease_seconds

    async def claim(self, wanted: Mapping[str, int]) -> Mapping[str, PlaceGrant]:
        """Renew, take or release places, so that this relay holds at most the *wanted* number for each key.

        Raises `StoreUnavailable`.
        """
        return await shielded(self._claim(wanted))

    async def _claim(self, wanted: Mapping[str, int]) -> Mapping[str, PlaceGrant]:
        async with self._store.writing() as work:
            return await work.relay_places.claim(
                self._holder, wanted, limit=self._limit, seconds=self.lease_seconds
            )

    async def others_waiting(self, keys: Collection[str]) -> frozenset[str]:
        """Return those of *keys* for which another relay has too few places. Raises `StoreUnavailable`."""
        return await shielded(self._others_waiting(keys))

    async def _others_waiting(self, keys: Collection[str]) -> frozenset[str]:
        async with self._store.reading() as snapshot:
            return await snapshot.relay_places.others_waiting(self._holder, keys)
