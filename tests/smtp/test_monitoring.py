"""Scheduled checks with a real prober: they report a server's state and send no mail."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.monitoring import Health, MonitoredServer
from mailsettings.domain.values import Secret
from mailsettings.network.policy import EgressPolicy
from mailsettings.smtp.prober import SMTPProber
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.use_cases.lease import Lease
from mailsettings.use_cases.monitoring.checks import ScheduledChecks

from support.databases import KEY
from support.misbehaving_server import Kind, Step, misbehaving_server
from support.probers import MakeProber
from support.smtp_server import USERNAME, Behaviour, real_server

PASSWORD = "canary-reply-17"
LOGIN = PasswordAuthentication(USERNAME, Secret(PASSWORD))
STARTTLS = ConnectionSecurity.STARTTLS


async def after_two_checks(url: str, server: MailServer, prober: SMTPProber) -> MonitoredServer:
    store = SQLStore(url, Sealer(KEY))
    lease = Lease(store, "watch")
    assert await lease._taken() is not None  # noqa: SLF001  # what its loop begins with
    checks = ScheduledChecks(store, prober, lease, 3600, has_webhook=True)
    async with store.writing() as work:
        await work.mail_servers.add(server)
    await checks.check_due()
    database = engine.sync_engine(url)
    with database.begin() as connection:
        connection.execute(text("UPDATE watch_states SET checked_at = checked_at - 3600, since = since - 3600"))
    database.dispose()
    await checks.check_due()
    async with store.reading() as view:
        (found,) = await view.monitoring.list()
        assert "canary" not in repr(await view.outbox.due(10))
    await store.close()
    return found


@pytest.mark.parametrize(
    ("step", "kind", "stage", "code"),
    [
        (Step.GREETING, Kind.UNAVAILABLE, "greet", "server_unavailable"),
        (Step.STARTTLS, Kind.REFUSE, "secure", "starttls_refused"),
        (Step.AUTH, Kind.REFUSE, "authenticate", "smtp_auth_failed"),
        (Step.MAIL, Kind.CLOSE, "sender", "connection_lost"),
    ],
)
async def test_a_misbehaving_server_fails_with_stage_and_code(
    sqlite_url: str, make_prober: MakeProber, step: Step, kind: Kind, stage: str, code: str
) -> None:
    async with misbehaving_server(STARTTLS, step, kind) as server:
        found = await after_two_checks(sqlite_url, server.settings(LOGIN), make_prober())

    assert (found.health, found.stage, found.code) == (Health.FAILING, stage, code)
    assert server.messages == 0


async def test_a_scheduled_check_logs_in_without_sending_mail(sqlite_url: str, make_prober: MakeProber) -> None:
    async with real_server(Behaviour(STARTTLS, PASSWORD)) as server:
        found = await after_two_checks(sqlite_url, server.settings(STARTTLS, LOGIN), make_prober())

    assert (found.health, server.attempts, server.messages) == (Health.WORKING, ["PLAIN", "PLAIN"], [])
    assert found.certificate_ends_at is not None
    assert found.certificate_ends_at > datetime.now(UTC).timestamp()


async def test_scheduled_checks_obey_the_address_policy(
    sqlite_url: str, make_prober: MakeProber, connects: list[tuple[str, int]]
) -> None:
    async with real_server(Behaviour(STARTTLS, PASSWORD)) as server:
        prober = make_prober(egress=EgressPolicy(allowed_ports=None))
        found = await after_two_checks(sqlite_url, server.settings(STARTTLS, LOGIN), prober)

    assert (found.health, found.code) == (Health.FAILING, "address_not_allowed")
    assert server.port not in {port for _, port in connects}
