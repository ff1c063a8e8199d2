"""Compose everything but HTTP from the settings."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from mailsettings.auth import tokens
from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.auth.passwords import Argon2Passwords
from mailsettings.auth.tokens import OwnTokenIssuer, OwnTokenReader, SigningKeys
from mailsettings.bootstrap.identity import create_foreign_tokens, create_token_reader
from mailsettings.bootstrap.outgoing import create_egress, create_prober, create_relay_prober, create_webhook
from mailsettings.bootstrap.use_cases import ISSUER, Parts, create_use_cases
from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import IssuedToken, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.settings import PREFIX, Settings
from mailsettings.store import database_url, migrations
from mailsettings.store.audit_witness import WITNESS_NAME, WitnessFile
from mailsettings.store.backup.snapshot import Snapshot
from mailsettings.store.backup.writer import new_backup
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_check import require_matching_keys
from mailsettings.store.encryption.key_file import LiveKeys, key_file
from mailsettings.store.migrations import SchemaError
from mailsettings.telemetry.tracing import Tracing
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.audit_log import write_audit_entry
from mailsettings.use_cases.audit_witness import AuditWitness
from mailsettings.use_cases.backups import ManageBackups
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.keys import ManageEncryptionKeys, ManageSigningKeys
from mailsettings.use_cases.mail_server_names import name_mail_servers
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.monitoring.gauges import StateGauges
from mailsettings.use_cases.monitoring.service import MonitoringService
from mailsettings.use_cases.monitoring.status import MonitoringStatus
from mailsettings.use_cases.ports import Meter, Prober
from mailsettings.web.dialect import UseCases


class DatabaseMissing(SchemaError):
    """No database of this program exists; `str()` says where it was expected, and by which setting."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"There is no mail-settings database {database_url.location(settings.database)}. "
            f"{_location_hint(settings)} "
            "To make a new database, run: mailsettings migrate"
        )


def require_database(settings: Settings) -> None:
    """Raise `DatabaseMissing` unless a migration was applied to the database; create nothing."""
    if not migrations.exists(settings.database):
        raise DatabaseMissing(settings)


def _location_hint(settings: Settings) -> str:
    """Return which variable decided the location; for the default location, name both variables."""
    url, directory = f"{PREFIX}DATABASE_URL", f"{PREFIX}DATA_DIR"
    if settings.database_url.get_secret_value().strip():
        return f"{url} selects the database; check it."
    if "data_dir" in settings.model_fields_set:
        return f"{directory} decides where it is ({url} is not set); check it."
    return f"Neither {directory} nor {url} is set; set the same variable as for the service."


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything below the APIs and the command line."""

    store: SQLStore
    passwords: Argon2Passwords
    issuer: OwnTokenIssuer
    accounts: ManageAccounts
    encryption_keys: ManageEncryptionKeys
    signing_keys: ManageSigningKeys
    use_cases: UseCases
    monitoring_status: MonitoringStatus
    monitoring: MonitoringService | None
    backups: ManageBackups
    witness: AuditWitness
    foreign_tokens: Sequence[OIDCTokenReader]

    async def establish(self) -> None:
        """Check that the encryption keys fit the database, ensure a signing key, and name the mail servers.

        Raises `WrongKey`.
        """
        await self.store.register_key()
        await self.signing_keys.ensure()
        await name_mail_servers(self.store)

    async def issue_token(
        self, caller: Principal, subject: str, grants: Sequence[str], lifetime_seconds: int
    ) -> IssuedToken:
        """Return a token for a subject without an account, and record it in the audit log."""
        details = {"permissions": sorted(grants), "expires_in": lifetime_seconds}
        await write_audit_entry(self.store, caller, Action.TOKEN_ISSUE, subject, AuditOutcome.DONE, details)
        return await self.issuer.issue(subject, grants, lifetime_seconds)

    def monitoring_running(self) -> AbstractAsyncContextManager[None]:
        """Run the scheduled checks during the block, if the settings ask for them."""
        return nullcontext() if self.monitoring is None else self.monitoring.running()

    async def ask_issuers(self) -> None:
        """Ask each issuer for its keys, and log what it finds."""
        await asyncio.gather(*(reader.ask_issuer() for reader in self.foreign_tokens))

    async def close(self) -> None:
        """Close connections and threads, and record the last audit entry in the witness."""
        await self.witness.close()
        self.passwords.close()
        await self.store.close()


def prepare(settings: Settings) -> None:
    """Migrate an embedded database to the current schema; require that of an external database.

    Raises `SchemaError`; and `WrongKey` or `KeyFileUnusable` before anything is written.
    """
    # Before the migration, so that a start with a wrong key changes nothing.
    require_matching_keys(settings.database, key_ring(settings))
    if settings.embedded:
        migrations.migrate(settings.database)
    else:
        migrations.require_current(settings.database)


def require_usable(settings: Settings) -> None:
    """Require the keys and the current schema of the database; migrate and write nothing.

    Raises `SchemaError`, `WrongKey` or `KeyFileUnusable`.
    """
    require_matching_keys(settings.database, key_ring(settings))
    migrations.require_current(settings.database)


def key_ring(settings: Settings) -> LiveKeys:
    """Return the encryption keys; nothing is read yet."""
    return LiveKeys(key_file(settings.data_dir, settings.encryption_keys_file))


def create_backend(
    settings: Settings,
    metrics: Meter = NO_METRICS,
    tracing: Tracing | None = None,
    passwords: Argon2Passwords | None = None,
) -> Backend:
    """Compose everything but HTTP; nothing is connected yet."""
    ring = key_ring(settings)
    store = SQLStore(settings.database, ring)
    witness = AuditWitness(store, WitnessFile(settings.data_dir / WITNESS_NAME))
    store.on_appended = witness.appended
    passwords = passwords or Argon2Passwords()
    egress = create_egress(settings)
    smtp = create_prober(settings, egress)
    prober: Prober = smtp
    scheduled: Prober = smtp.without_other_ports()
    if tracing is not None:
        prober, scheduled = tracing.traced(prober.probe), tracing.traced(scheduled.probe)
    signing = ManageSigningKeys(store, tokens.make)
    keys = SigningKeys(signing.list)
    issuer = OwnTokenIssuer(keys, ISSUER, [dialect.token_claims for dialect in DIALECTS])
    monitoring_status = MonitoringStatus(store)
    sealing = ManageEncryptionKeys(store, ring)
    foreign = create_foreign_tokens(settings)
    use_cases = create_use_cases(
        settings,
        Parts(
            store=store,
            prober=prober,
            relay_prober=create_relay_prober(settings),
            passwords=passwords,
            issuer=issuer,
            reader=create_token_reader(settings, OwnTokenReader(keys, ISSUER), foreign),
            meter=metrics,
            json_web_keys=keys.json_web_keys,
            witnessed=witness.noted,
            limits=_probe_limits(settings),
            encryption_keys=sealing,
            signing_keys=signing,
            gauges=[StateGauges(store, settings.monitoring_interval, with_names=settings.metrics_server_names)],
        ),
    )
    accounts = use_cases.accounts
    webhook, interval = create_webhook(settings, egress), settings.monitoring_interval
    monitoring = (
        None if interval is None else MonitoringService(store, scheduled, interval, webhook, meter=metrics)
    )
    backups = ManageBackups(store, lambda: Snapshot(settings.database, ring.file), new_backup)
    return Backend(
        *(store, passwords, issuer, accounts, sealing, signing, use_cases, monitoring_status, monitoring, backups),
        witness=witness,
        foreign_tokens=foreign,
    )


def _probe_limits(settings: Settings) -> ConnectionTestLimits:
    return ConnectionTestLimits(
        max_concurrent=settings.smtp_max_concurrent_tests,
        max_concurrent_per_caller=settings.smtp_max_concurrent_tests_per_client,
        max_per_minute_per_caller=settings.smtp_max_tests_per_minute_per_client,
        deadline_seconds=settings.smtp_test_timeout_seconds,
    )
