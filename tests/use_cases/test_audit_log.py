"""What the audit log says of changes and tests of mail servers."""

import logging
from dataclasses import replace

import pytest
from sqlalchemy import update

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.errors import (
    MailServerNotFound,
    PermissionDenied,
    SecretNeededAgain,
    StoreUnavailable,
    TooManyProbes,
)
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.values import Secret
from mailsettings.store.tables import mail_servers
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.certificates import SelfSigned
from support.databases import LocalStore, add, records, stored_in
from support.fakes import ScriptedProber

HERE = Origin("192.0.2.1", "request 1")
ALICE = Principal("alice", frozenset(Permission), HERE)
SECRET = Secret("canary-1")
LOGIN = PasswordAuthentication("scans", SECRET)
SERVER = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"), LOGIN)


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def keep(store: LocalStore) -> ManageMailServers:
    return ManageMailServers(store)


async def test_each_change_lists_its_differences_with_labels_for_secrets(
    keep: ManageMailServers, store: LocalStore
) -> None:
    await keep.create(ALICE, Replacement(SERVER))
    given = Secret("canary-2")
    other = PasswordAuthentication("scans", given)
    await keep.replace(ALICE, 1, Replacement(replace(SERVER, port=2525, authentication=other)))
    await keep.delete(ALICE, 1)

    created, replaced, deleted = await records(store)
    assert {(each.actor, each.origin, each.target, each.outcome) for each in await records(store)} == {
        ("alice", HERE, "mail-server:1", AuditOutcome.DONE)
    }
    assert [created.action, replaced.action, deleted.action] == [
        Action.MAIL_SERVER_CREATE,
        Action.MAIL_SERVER_REPLACE,
        Action.MAIL_SERVER_DELETE,
    ]
    first, second = f"label {SECRET.label}", f"label {given.label}"
    assert created.details == {
        "authentication": {"before": None, "after": "password"},
        "host": {"before": None, "after": "mail.example.org"},
        "password": {"before": None, "after": first},
        "port": {"before": None, "after": 587},
        "connection security": {"before": None, "after": "starttls"},
        "sender address": {"before": None, "after": "a@example.org"},
        "user name": {"before": None, "after": "scans"},
    }
    assert replaced.details == {
        "password": {"before": first, "after": second},
        "port": {"before": 587, "after": 2525},
    }
    assert deleted.details["host"] == {"before": "mail.example.org", "after": None}
    assert "canary" not in repr(await records(store))


async def test_a_change_of_the_default_server_names_its_id(keep: ManageMailServers, store: LocalStore) -> None:
    certificate = CustomTrust.parse(SelfSigned.for_name("mail.example.org").pem.decode())
    login = OAuth2ClientCredentials("scans", "id", "tenant", Secret("canary-1"))
    await keep.put_default(ALICE, Replacement(SERVER))
    await keep.put_default(ALICE, Replacement(replace(SERVER, authentication=login, trust=certificate)))
    await keep.delete_default(ALICE)
    with pytest.raises(MailServerNotFound):
        await keep.delete_default(ALICE)

    assert [(each.action, each.target, each.outcome) for each in await records(store)] == [
        (Action.MAIL_SERVER_CREATE, "mail-server:1", AuditOutcome.DONE),
        (Action.MAIL_SERVER_REPLACE, "mail-server:1", AuditOutcome.DONE),
        (Action.MAIL_SERVER_DELETE, "mail-server:1", AuditOutcome.DONE),
        (Action.MAIL_SERVER_DELETE, "default mail server", AuditOutcome.REFUSED),
    ]
    changed = (await records(store))[1].details
    assert set(changed) == {"authentication", "certificate", "client id", "client secret", "password", "tenant"}
    assert "SHA-256" in str(changed["certificate"])


async def test_a_refused_move_of_a_secret_is_audited(keep: ManageMailServers, store: LocalStore) -> None:
    await keep.create(ALICE, Replacement(SERVER))
    login = PasswordAuthentication("scans", None)
    moved = Replacement(replace(SERVER, host="evil.example.org", authentication=login), SecretInput.KEPT)

    with pytest.raises(SecretNeededAgain):
        await keep.replace(ALICE, 1, moved)

    entry = (await records(store))[-1]
    assert (entry.action, entry.target, entry.outcome, entry.details) == (
        Action.MAIL_SERVER_REPLACE,
        "mail-server:1",
        AuditOutcome.REFUSED,
        {"problem": "SecretNeededAgain"},
    )
    assert [stored.version for stored in await stored_in(store)] == [1]


async def test_damaged_secret_can_be_replaced_and_has_a_label(keep: ManageMailServers, store: LocalStore) -> None:
    await add(store, SERVER)
    store.sql(update(mail_servers).values(sealed_secret=b"damaged", secret_label="0123456789ab"))

    await keep.replace(ALICE, 1, Replacement(SERVER))

    password = {"before": "label 0123456789ab", "after": f"label {SECRET.label}"}
    assert (await records(store))[0].details["password"] == password


async def test_an_unavailable_database_is_not_audited_as_a_refusal(
    keep: ManageMailServers, store: LocalStore
) -> None:
    store.away = True

    with pytest.raises(StoreUnavailable):
        await keep.create(ALICE, Replacement(SERVER))

    store.away = False
    assert await records(store) == []


async def test_reading_is_not_audited(keep: ManageMailServers, store: LocalStore) -> None:
    await add(store, SERVER)
    async with store.writing() as work:
        await work.mail_servers.choose_default(1)
    await keep.page(ALICE)
    await keep.get(ALICE, 1)
    await keep.get_default(ALICE)

    assert await records(store) == []


async def test_a_test_is_audited_before_and_after_it_runs(store: LocalStore) -> None:
    class Watching(ScriptedProber):
        async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
            assert [each.outcome for each in await records(store)] == [AuditOutcome.BEGUN]
            return await super().probe(server, recipient)

    await RunConnectionTests(store, Watching(), ConnectionTestLimits(), DenialLog(store)).given(
        ALICE, SERVER, "to@example.org"
    )

    begun, done = await records(store)
    assert (begun.action, begun.target, begun.origin) == (Action.MAIL_SERVER_TEST, "given mail server", HERE)
    assert begun.details == {
        "host": "mail.example.org",
        "port": 587,
        "connection security": "starttls",
        "recipient": "to@example.org",
    }
    assert (done.action, done.outcome, done.details) == (Action.MAIL_SERVER_TEST, AuditOutcome.DONE, {})
    assert "canary" not in repr(await records(store))


async def test_a_failed_test_is_audited_with_stage_and_code(store: LocalStore) -> None:
    refused = failure(FailureCode.AUTHENTICATION_FAILED, ProbeStage.AUTHENTICATE)
    report = ProbeReport((StageReport(ProbeStage.AUTHENTICATE, Outcome.FAILED),), refused)
    await add(store, SERVER)
    await RunConnectionTests(store, ScriptedProber(report), ConnectionTestLimits(), DenialLog(store)).stored(
        ALICE, 1, None
    )

    end = (await records(store))[-1]
    assert (end.target, end.outcome) == ("mail-server:1", AuditOutcome.FAILED)
    assert end.details == {"code": "smtp_auth_failed", "stage": "authenticate"}


async def test_a_test_over_the_limit_is_audited_as_refused(store: LocalStore) -> None:
    prober = ScriptedProber()
    probes = RunConnectionTests(store, prober, ConnectionTestLimits(max_per_minute_per_caller=1), DenialLog(store))
    await probes.given(ALICE, SERVER, None)
    with pytest.raises(TooManyProbes):
        await probes.given(ALICE, SERVER, None)

    assert (await records(store))[-1].outcome == AuditOutcome.REFUSED
    assert len(prober.asked) == 1


async def test_no_test_runs_that_cannot_be_audited(store: LocalStore) -> None:
    prober = ScriptedProber()
    store.away = True
    with pytest.raises(StoreUnavailable):
        await RunConnectionTests(store, prober, ConnectionTestLimits(), DenialLog(store)).given(
            ALICE, SERVER, None
        )

    assert prober.asked == []


async def test_finished_test_is_reported_although_its_audit_entry_failed(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    class GoesAway(ScriptedProber):
        async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
            store.away = True
            return await super().probe(server, recipient)

    with caplog.at_level(logging.ERROR):
        report = await RunConnectionTests(store, GoesAway(), ConnectionTestLimits(), DenialLog(store)).given(
            ALICE, SERVER, None
        )

    assert report.succeeded
    said = "The end of a connection test (done) could not be written to the audit log."
    assert caplog.messages == [said]


async def test_reading_the_audit_log_needs_its_own_permission(store: LocalStore) -> None:
    everything_else = Principal("almost", frozenset(Permission) - {Permission.AUDIT_READ})
    log = ReadAuditLog(store)

    with pytest.raises(PermissionDenied):
        await log.page(everything_else)
    with pytest.raises(PermissionDenied):
        await log.verify(everything_else)


async def test_replacing_what_another_api_created_names_that_api(
    keep: ManageMailServers, store: LocalStore
) -> None:
    one, other = (replace(ALICE, origin=Origin("192.0.2.1", "request 1", api)) for api in ("one", "other"))
    await keep.create(one, Replacement(SERVER))
    await keep.set_default(one, 1)
    await keep.put_default(other, Replacement(replace(SERVER, port=25)))
    await keep.put_default(one, Replacement(replace(SERVER, port=26)))

    _, _, by_the_other, by_its_own = await records(store)
    assert by_the_other.details["created"] == {"by": "alice", "through": "one"}
    assert "created" not in by_its_own.details
