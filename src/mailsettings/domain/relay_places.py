"""Places: how several relays with one database divide the connections that a mail server admits."""

from dataclasses import dataclass

PLACE_LEASE_SECONDS = 15.0
"""So long the places of a relay that died, or that cannot reach the database, stay taken."""


@dataclass(frozen=True, slots=True)
class PlaceGrant:
    """The places that a relay holds for one mailbox.

    `relays`: those that hold or need places there, with this relay. `waiting`: the others among them with too few.
    """

    places: int
    relays: int = 1
    waiting: int = 0


def fair_number(limit: int, relays: int) -> int:
    """Return how many of *limit* places each of *relays* can count on; a relay with fewer waits for more."""
    return max(1, limit // relays)


def largest_part(limit: int, relays: int) -> int:
    """Return how many of *limit* places one of *relays* may hold while another waits."""
    return max(limit - fair_number(limit, relays) * (relays - 1), 1)
