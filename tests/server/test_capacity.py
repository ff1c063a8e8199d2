"""What all clients of a process share, and who makes room for whom."""

from ipaddress import ip_network

import pytest

from mailsettings.server.capacity import (
    Allocation,
    Capacity,
    CapacityLimits,
    ConnectionSlot,
    ConnectionSlots,
    Pool,
)

MOST = 16
RESERVED = 2
FIRST, SECOND, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def take_all(pool: Pool, client_key: str | None) -> int:
    taken = 0
    while pool.take(client_key):
        taken += 1
    return taken


def test_one_address_gets_half_and_the_next_fair_share() -> None:
    pool = Pool(MOST)

    assert take_all(pool, FIRST) == (MOST - RESERVED) / 2
    assert take_all(pool, SECOND) == (MOST - RESERVED) / 4 + 0.5
    assert take_all(pool, THIRD) > 0


def test_addresses_that_authenticated_have_a_reserve() -> None:
    pool = Pool(MOST, {THIRD})
    for number in range(2 * MOST):
        pool.take(f"198.51.100.{number}")

    assert pool.used == MOST - RESERVED
    assert not pool.take(FIRST)
    assert pool.take(THIRD)


def test_trusted_proxies_are_bound_by_the_total_alone() -> None:
    capacity = Capacity(CapacityLimits(MOST, [ip_network("192.0.2.0/24")]))

    assert capacity.client_key(FIRST) is None
    assert take_all(capacity.connections, capacity.client_key(FIRST)) == MOST


@pytest.mark.parametrize(
    ("address", "client_key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (None, ""),
        ("", ""),
    ],
)
def test_an_address_is_counted_with_its_neighbourhood(address: str | None, client_key: str) -> None:
    assert Capacity(CapacityLimits()).client_key(address) == client_key


def test_what_is_given_back_can_be_taken_again() -> None:
    pool = Pool(MOST)
    account = Allocation(pool, FIRST)

    assert account.try_raise_to(4)
    assert not account.try_raise_to(MOST)
    assert pool.used == pool.used_by(FIRST) == 4
    account.set(MOST)  # an answer that is being sent is not broken off
    assert pool.is_full(SECOND)
    account.set(0)
    assert (pool.used, pool.used_by(FIRST)) == (0, 0)


class Crowd:
    """Connections, and which of them were closed to make room."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.slots = ConnectionSlots(pool)
        self.closed: list[ConnectionSlot] = []

    def enter(self, client_key: str | None, number: int = 1, *, busy: bool = False) -> list[ConnectionSlot]:
        return [slot for _ in range(number) if (slot := self._enter(client_key, busy)) is not None]

    def _enter(self, client_key: str | None, busy: bool) -> ConnectionSlot | None:
        slot = self.slots.enter(client_key)
        if slot is not None:
            slot.close = lambda: self.closed.append(slot)
            if busy:
                slot.mark_busy()
        return slot


def test_addresss_oldest_idle_connection_makes_room_for_its_next() -> None:
    crowd = Crowd(Pool(MOST))
    mine = crowd.enter(FIRST, 7)
    mine[0].mark_busy()
    others = crowd.enter(SECOND, 1)

    assert len(crowd.enter(FIRST, 2)) == 2
    assert crowd.closed[0] is mine[1]
    assert others[0] not in crowd.closed


def test_address_with_only_busy_connections_stays_within_its_share() -> None:
    crowd = Crowd(Pool(MOST))
    others = crowd.enter(SECOND, 1)

    assert len(crowd.enter(FIRST, MOST, busy=True)) < MOST / 2
    assert crowd.closed == []
    assert len(crowd.enter(SECOND, 1)) == 1
    assert others[0] not in crowd.closed


def test_when_full_address_with_most_idle_connections_makes_room() -> None:
    pool = Pool(MOST, {THIRD})
    crowd = Crowd(pool)
    known = crowd.enter(THIRD, 2)
    most = crowd.enter(FIRST, 5)
    for number in range(7):
        crowd.enter(f"198.51.100.{number}", busy=True)
    entered = crowd.enter(SECOND)

    assert len(entered) == 1
    assert crowd.closed == [most[0]]
    assert pool.used_by(THIRD) == len(known)


def test_connections_of_trusted_proxies_never_make_room() -> None:
    crowd = Crowd(Pool(MOST))
    crowd.enter(None, MOST)

    assert crowd.enter(FIRST) == []
    assert crowd.closed == []


def test_a_place_is_given_back_once() -> None:
    crowd = Crowd(Pool(MOST))
    (slot,) = crowd.enter(FIRST)
    slot.release()
    slot.release()

    assert crowd.pool.used == 0
