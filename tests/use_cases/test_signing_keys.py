"""The keys that sign tokens: the first is created automatically, changes are audited, the current key stays."""

import secrets
from itertools import count

import pytest
from sqlalchemy import select

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit_log import KEY_BYTES, Action, AuditOutcome
from mailsettings.domain.errors import KeyRefused, PermissionDenied, SigningKeyNotFound
from mailsettings.store.tables import service_keys
from mailsettings.use_cases.keys import PREFIX, ManageSigningKeys

from support.databases import LocalStore, records

HERE = Origin("192.0.2.1", "request 1")
ALICE = Principal("alice", frozenset(Permission), HERE)


class Kept:
    """A store, and keys that are made by counting."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        numbers = count(1)
        self.keys = ManageSigningKeys(self.store, lambda: (f"k{(number := next(numbers))}", f"text {number}"))

    async def entries(self, after: int = 0) -> list[tuple[Action, str | None, AuditOutcome]]:
        return [
            (Action(each.action), each.target, AuditOutcome(each.outcome))
            for each in await records(self.store, after)
        ]


@pytest.fixture
def kept(local_store: LocalStore) -> Kept:
    return Kept(local_store)


async def test_first_key_is_created_once_without_an_audit_entry(kept: Kept) -> None:
    await kept.keys.ensure()
    await kept.keys.ensure()

    assert await kept.keys.list() == [("k1", "text 1")]
    assert await kept.entries() == []


async def test_two_programs_that_start_together_create_one_key(kept: Kept) -> None:
    class Late(ManageSigningKeys):
        """Looked before the other one wrote."""

        async def list(self) -> list[tuple[str, str]]:
            return []

    await kept.keys.ensure()
    await Late(kept.store, lambda: ("late", "text")).ensure()

    assert await kept.keys.list() == [("k1", "text 1")]


async def test_other_service_keys_are_not_signing_keys(kept: Kept) -> None:
    async with kept.store.writing() as work:
        await work.service_keys.add("audit", secrets.token_hex(KEY_BYTES))
    await kept.keys.ensure()

    assert await kept.keys.list() == [("k1", "text 1")]
    with pytest.raises(SigningKeyNotFound):
        await kept.keys.drop(ALICE, "audit")


async def test_a_new_key_is_last_and_audited(kept: Kept) -> None:
    await kept.keys.ensure()

    assert await kept.keys.rotate(ALICE) == "k2"
    assert await kept.keys.list() == [("k1", "text 1"), ("k2", "text 2")]
    names = kept.store.sql(select(service_keys.c.name).where(service_keys.c.name.startswith(PREFIX)))
    assert sorted(row.name for row in names) == [f"{PREFIX}k1", f"{PREFIX}k2"]
    assert await kept.entries() == [(Action.SIGNING_KEY_ROTATE, "k2", AuditOutcome.DONE)]
    assert (await records(kept.store))[0].actor == "alice"
    assert "text" not in repr(await records(kept.store))


async def test_old_key_can_be_dropped_but_not_the_current(kept: Kept) -> None:
    await kept.keys.ensure()
    await kept.keys.rotate(ALICE)

    with pytest.raises(KeyRefused, match="The key k2 signs; rotate the signing keys first"):
        await kept.keys.drop(ALICE, "k2")
    await kept.keys.drop(ALICE, "k1")
    with pytest.raises(SigningKeyNotFound):
        await kept.keys.drop(ALICE, "k1")

    assert await kept.keys.list() == [("k2", "text 2")]
    assert await kept.entries(after=1) == [
        (Action.SIGNING_KEY_DROP, "k2", AuditOutcome.REFUSED),
        (Action.SIGNING_KEY_DROP, "k1", AuditOutcome.DONE),
        (Action.SIGNING_KEY_DROP, "k1", AuditOutcome.REFUSED),
    ]


async def test_facts_about_keys_leave_out_the_keys(kept: Kept) -> None:
    await kept.keys.ensure()
    await kept.keys.rotate(ALICE)
    found = await kept.keys.facts(ALICE)

    assert [(each.key_id, each.signs) for each in found] == [("k1", False), ("k2", True)]
    assert "text" not in repr(found)


async def test_only_callers_with_the_permission_manage_keys(kept: Kept) -> None:
    bob = Principal("bob", frozenset(Permission) - {Permission.KEYS_MANAGE}, HERE)
    for refused in (kept.keys.facts(bob), kept.keys.rotate(bob), kept.keys.drop(bob, "k1")):
        with pytest.raises(PermissionDenied):
            await refused

    assert await kept.keys.list() == []
