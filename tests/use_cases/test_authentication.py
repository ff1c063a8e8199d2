"""Who a token speaks for: as things are now, not as they were when it was issued."""

import logging

import pytest

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin, Permission, TokenClaims
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.errors import NotAuthenticated, StoreUnavailable
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.denial_log import MAX_ENTRIES_FOR_STRANGERS, MAX_ENTRIES_PER_CALLER, DenialLog
from mailsettings.use_cases.login import Authenticator

from support.databases import LocalStore, account, records
from support.fakes import GRANTS, PlainPasswords

HERE = Origin("192.0.2.1", "request 1")
USER = AccountKind.USER


class Tokens:
    """Tokens `<subject>:<stamp>`, all of them granting everything."""

    async def read(self, token: str) -> TokenClaims:
        if token == "bad":
            raise NotAuthenticated("No.", presented=True, reason="it is a bad one")
        subject, _, stamp = token.partition(":")
        return TokenClaims(subject, frozenset({"admin"}), 2**40, stamp or None)


class Gate:
    def __init__(self, store: LocalStore) -> None:
        self.now = 0.0
        self.store = store
        self.accounts = ManageAccounts(self.store, PlainPasswords())
        denial_log = DenialLog(self.store, lambda: self.now)
        self.authentication = Authenticator(self.store, Tokens(), GRANTS, denial_log)

    async def permissions(self, token: str) -> frozenset[Permission]:
        return (await self.authentication.by_token(token, HERE)).permissions


@pytest.fixture
async def gate(local_store: LocalStore) -> Gate:
    gate = Gate(local_store)
    await gate.accounts.add(OPERATOR, Account("alice", frozenset({"reader", "unheard of"})), "correct horse")
    return gate


async def token_of(gate: Gate) -> str:
    return f"alice:{(await account(gate.store, 'alice')).stamp}"


async def test_an_account_has_its_current_permissions_at_each_request(gate: Gate) -> None:
    assert await gate.permissions(await token_of(gate)) == GRANTS["reader"]

    await gate.accounts.set_grants(OPERATOR, USER, "alice", ["tester"])
    assert await gate.permissions(await token_of(gate)) == GRANTS["tester"]

    await gate.accounts.set_grants(OPERATOR, USER, "alice", [])
    assert await gate.permissions(await token_of(gate)) == frozenset()


async def test_a_changed_password_ends_tokens(gate: Gate) -> None:
    token = await token_of(gate)
    await gate.accounts.set_password(OPERATOR, USER, "alice", "correct horse")

    with pytest.raises(NotAuthenticated) as refused:
        await gate.permissions(token)

    assert refused.value.presented
    assert str(refused.value) == "The access token is no longer good."
    entry = (await records(gate.store))[-1]
    assert (entry.actor, entry.target, entry.details["problem"]) == (None, None, "NotAuthenticated")
    assert str(entry.details["reason"]).startswith("its account was removed, or its password was changed")


async def test_a_removed_account_ends_its_tokens_for_good(gate: Gate) -> None:
    token = await token_of(gate)
    await gate.accounts.remove(OPERATOR, USER, "alice")
    with pytest.raises(NotAuthenticated):
        await gate.permissions(token)

    await gate.accounts.add(OPERATOR, Account("alice", frozenset({"admin"})), "correct horse")
    with pytest.raises(NotAuthenticated):
        await gate.permissions(token)


async def test_a_token_without_an_account_carries_its_own_permissions(gate: Gate) -> None:
    principal = await gate.authentication.by_token("alice", HERE)

    assert (principal.name, principal.permissions, principal.origin) == ("alice", GRANTS["admin"], HERE)


async def test_no_account_is_authenticated_while_the_database_is_away(gate: Gate) -> None:
    token = await token_of(gate)
    gate.store.away = True

    with pytest.raises(StoreUnavailable):
        await gate.permissions(token)


async def test_denied_callers_are_in_the_audit_log(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mailsettings.login")
    before = len(await records(gate.store))
    with pytest.raises(NotAuthenticated):
        await gate.permissions("bad")
    alice = await gate.authentication.by_token(await token_of(gate), HERE)
    await gate.authentication.denied(alice, Permission.MAIL_SERVERS_WRITE)

    bad, denied = await records(gate.store, before)
    assert (bad.actor, bad.origin, bad.action, bad.outcome) == (None, HERE, Action.ACCESS, AuditOutcome.REFUSED)
    assert (denied.actor, denied.action, denied.outcome) == ("alice", Action.ACCESS, AuditOutcome.REFUSED)
    assert (denied.origin, denied.target) == (HERE, None)
    assert denied.details == {"permission": "mail-servers:write"}
    assert bad.details == {"problem": "NotAuthenticated", "reason": "it is a bad one"}
    assert "Refused an access token from 192.0.2.1: it is a bad one." in caplog.messages


async def test_flood_of_denials_does_not_fill_the_audit_log(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(times: int, address: str) -> int:
        before = len(await records(gate.store))
        for _ in range(times):
            with pytest.raises(NotAuthenticated):
                await gate.authentication.by_token("bad", Origin(address))
        return len(await records(gate.store)) - before

    assert await refuse(MAX_ENTRIES_PER_CALLER + 20, "192.0.2.1") == MAX_ENTRIES_PER_CALLER
    assert await refuse(5, "192.0.2.2") == 5
    written = [await refuse(MAX_ENTRIES_PER_CALLER, f"198.51.100.{number}") for number in range(20)]
    assert sum(written) + MAX_ENTRIES_PER_CALLER + 5 == MAX_ENTRIES_FOR_STRANGERS

    assert caplog.messages.count("refused without an audit entry: access from 192.0.2.1") == 20

    gate.now += 59.9
    assert await refuse(1, "192.0.2.1") == 0
    gate.now += 0.1
    assert await refuse(MAX_ENTRIES_PER_CALLER + 1, "192.0.2.1") == MAX_ENTRIES_PER_CALLER


async def test_strangers_cannot_use_up_the_entries_of_known_callers(gate: Gate) -> None:
    alice = await gate.authentication.by_token(await token_of(gate), HERE)
    for number in range(MAX_ENTRIES_FOR_STRANGERS):
        with pytest.raises(NotAuthenticated):
            await gate.authentication.by_token("bad", Origin(f"2001:db8:0:{number}::1"))
    before = len(await records(gate.store))

    for _ in range(MAX_ENTRIES_PER_CALLER + 5):
        await gate.authentication.denied(alice, Permission.MAIL_SERVERS_WRITE)

    assert len(await records(gate.store)) - before == MAX_ENTRIES_PER_CALLER


async def test_one_machine_with_many_ipv6_addresses_counts_once(gate: Gate) -> None:
    before = len(await records(gate.store))
    for number in range(MAX_ENTRIES_PER_CALLER + 5):
        with pytest.raises(NotAuthenticated):
            await gate.authentication.by_token("bad", Origin(f"2001:db8::{number:x}"))

    assert len(await records(gate.store)) - before == MAX_ENTRIES_PER_CALLER


async def test_denial_is_the_same_while_the_database_is_away(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    gate.store.away = True

    with pytest.raises(NotAuthenticated):
        await gate.permissions("bad")

    assert caplog.messages == ["A refusal could not be written to the audit log."]
