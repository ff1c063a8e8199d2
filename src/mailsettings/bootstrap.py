"""The composition root: from settings to a running whole. The one place where everything meets."""

import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache

from fastapi import FastAPI
from starlette.types import ASGIApp

from mailsettings import logs
from mailsettings.app import create_app
from mailsettings.auth import discovery, signing_keys
from mailsettings.auth.issuers import Issuers
from mailsettings.auth.openid_connect import OpenIDConnectTokens, TrustedIssuer
from mailsettings.auth.passwords import Argon2Passwords
from mailsettings.auth.signing_keys import SigningKeys
from mailsettings.auth.tokens import OwnTokenIssuer, OwnTokenReader
from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Grants, IssuedToken, Principal
from mailsettings.domain.audit import Action, AuditOutcome
from mailsettings.settings import PREFIX, Settings, SettingsInvalid, metrics_directory, read
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS
from mailsettings.site.openapi import Document, document
from mailsettings.site.pages import create_site
from mailsettings.smtp.egress import EgressPolicy, Endpoint, Preset
from mailsettings.smtp.gate import Gate
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.resolving import HostLookup
from mailsettings.smtp.tls import TLSTrust
from mailsettings.store import migrations
from mailsettings.store.backup_reader import VerifiedBackup
from mailsettings.store.backups import new_backup
from mailsettings.store.endpoints import endpoints
from mailsettings.store.key_admission import require_fitting
from mailsettings.store.key_ring import KeyRing
from mailsettings.store.ring_file import RingFile
from mailsettings.store.snapshot import Snapshot
from mailsettings.store.sql_store import SQLStore
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.telemetry.sampling import sampling
from mailsettings.telemetry.tracing import Tracing, TracingNotInstalled, require_installed, send_traces_to
from mailsettings.use_cases.accounts import KeepAccounts
from mailsettings.use_cases.admission import ProbeLimits
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.auditing import note
from mailsettings.use_cases.authentication import Authentication
from mailsettings.use_cases.backups import KeepBackups
from mailsettings.use_cases.connection_test import ProbeMailServers
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.log_in import LogIn
from mailsettings.use_cases.mail_servers import KeepMailServers
from mailsettings.use_cases.metrics import UNMEASURED, ReadMetrics
from mailsettings.use_cases.on_watch import OnWatch
from mailsettings.use_cases.ports import Metrics, Prober, TokenReader
from mailsettings.use_cases.sealing_keys import KeepSealingKeys
from mailsettings.use_cases.signing_keys import KeepSigningKeys
from mailsettings.use_cases.turned_away import TurnedAway
from mailsettings.use_cases.watch_status import WatchStatus
from mailsettings.web.dialect import NO_TELEMETRY, UseCases
from mailsettings.web.requests_at_once import RequestsAtOnce
from mailsettings.webhook.delivery import Webhook
from mailsettings.webhook.signature import signing_keys as webhook_keys

ISSUER = "mailsettings"
APIS = (*DIALECTS, AUDIT, METRICS)
"""The vendors', and our own."""
GRANTS: Grants = {name: allowed for api in APIS for name, allowed in api.grants.items()}
"""Every name that an organisation can give to permissions."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What the APIs and the command line stand on."""

    store: SQLStore
    passwords: Argon2Passwords
    issuer: OwnTokenIssuer
    accounts: KeepAccounts
    sealing_keys: KeepSealingKeys
    signing_keys: KeepSigningKeys
    use_cases: UseCases
    watch_status: WatchStatus
    on_watch: OnWatch | None
    backups: KeepBackups[VerifiedBackup]

    async def establish(self) -> None:
        """Make sure that our keys open the database, and that there are some. Raises `WrongKey`."""
        await self.store.admit_key()
        await self.signing_keys.ensure()

    async def issue_token(
        self, caller: Principal, subject: str, grants: Sequence[str], lifetime_seconds: int
    ) -> IssuedToken:
        """A token that needs no account, by the word of *caller*; the audit log has it."""
        details = {"permissions": sorted(grants), "expires_in": lifetime_seconds}
        await note(self.store, caller, Action.TOKEN_ISSUE, subject, AuditOutcome.DONE, details)
        return await self.issuer.issue(subject, grants, lifetime_seconds)

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Look at the mail servers on schedule while the block runs, if that is wanted."""
        return nullcontext() if self.on_watch is None else self.on_watch.running()

    async def close(self) -> None:
        """Give back connections and threads."""
        self.passwords.close()
        await self.store.close()


def prepare(settings: Settings) -> None:
    """Bring the database to the state this program needs: by ourselves if it is ours, else by demand.

    Raises `SchemaError`; and `WrongKey` or `KeyFileUnusable` before anything is written.
    """
    require_fitting(settings.database, key_ring(settings))
    if settings.embedded:
        migrations.migrate(settings.database)
    else:
        migrations.require_current(settings.database)


def key_ring(settings: Settings) -> KeyRing:
    """The keys that secrets are sealed with; nothing is read yet."""
    if settings.sealing_keys_file is not None:
        return KeyRing(RingFile(settings.sealing_keys_file, given=True))
    return KeyRing(RingFile(settings.data_dir / "sealing-keys", before=settings.data_dir / "sealing-key"))


def create_backend(settings: Settings, metrics: Metrics = UNMEASURED, tracing: Tracing | None = None) -> Backend:
    """Everything but HTTP; nothing is connected yet."""
    ring = key_ring(settings)
    store = SQLStore(settings.database, ring)
    passwords = Argon2Passwords()
    egress = _egress(settings)
    prober: Prober = create_prober(settings, egress)
    if tracing is not None:
        prober = tracing.of_tests(prober)
    signing = KeepSigningKeys(store, signing_keys.make)
    keys = SigningKeys(signing.list)
    issuer = OwnTokenIssuer(keys, ISSUER, [dialect.token_claims for dialect in DIALECTS])
    turned_away = TurnedAway(store)
    use_cases = UseCases(
        mail_servers=KeepMailServers(store, settings.history_versions),
        history=MailServerHistory(store, settings.history_versions),
        probes=ProbeMailServers(store, prober, _probe_limits(settings), turned_away, metrics),
        log_in=LogIn(store, passwords, issuer, turned_away, settings.token_lifetime_seconds, meter=metrics),
        authentication=Authentication(store, _reader(settings, OwnTokenReader(keys, ISSUER)), GRANTS, turned_away),
        audit_log=ReadAuditLog(store),
        metrics=ReadMetrics(metrics),
        json_web_keys=keys.json_web_keys,
        issuer=ISSUER,
        public_url=settings.public_url,
        client_secret=settings.client_secret.get_secret_value() if settings.client_secret else None,
        allowed_hosts=settings.allowed_hosts,
        at_once=RequestsAtOnce(settings.requests_at_once_each),
    )
    accounts, sealing = KeepAccounts(store, passwords), KeepSealingKeys(store, ring)
    webhook, interval = create_webhook(settings, egress), settings.recheck_interval
    on_watch = None if interval is None else OnWatch(store, prober, interval, webhook)
    watch_status = WatchStatus(store)
    backups: KeepBackups[VerifiedBackup] = KeepBackups(
        store, lambda: Snapshot(settings.database, ring.file), new_backup
    )
    return Backend(
        store, passwords, issuer, accounts, sealing, signing, use_cases, watch_status, on_watch, backups
    )


def _reader(settings: Settings, own: OwnTokenReader) -> TokenReader:
    foreign = create_foreign_tokens(settings)
    if foreign is None or settings.oidc_issuer is None:
        return own
    return Issuers(ISSUER, own.read, settings.oidc_issuer, foreign.read)


def create_foreign_tokens(settings: Settings) -> OpenIDConnectTokens | None:
    """What reads the tokens of the issuer in the settings, if there is one. Raises `SettingsInvalid`."""
    if settings.oidc_issuer is None:
        return None
    grants: dict[str, frozenset[str]] = {}
    for value, name in settings.oidc_permissions:
        if name not in GRANTS:
            known = ", ".join(sorted(GRANTS))
            raise SettingsInvalid(
                f"{PREFIX}OIDC_PERMISSIONS has a permission that there is not; there are {known}."
            )
        grants[value] = grants.get(value, frozenset()) | {name}
    try:
        tls = discovery.tls_context(settings.oidc_ca_file)
    except OSError:
        raise SettingsInvalid(
            f"{PREFIX}OIDC_CA_FILE is not a readable file of certificates in PEM form."
        ) from None
    trusted = TrustedIssuer(
        settings.oidc_issuer,
        settings.oidc_audience,
        grants,
        settings.oidc_permissions_claim,
        settings.oidc_subject_claim,
    )
    return OpenIDConnectTokens(trusted, tls)


def create_webhook(settings: Settings, egress: EgressPolicy) -> Webhook | None:
    """Who is told what the watch finds out, if somebody is. Raises `SettingsInvalid`."""
    url, secret = settings.webhook_url, settings.webhook_secret
    if url is None or secret is None:
        return None
    try:
        keys = webhook_keys(secret.get_secret_value())
    except ValueError as problem:
        raise SettingsInvalid(f"{PREFIX}WEBHOOK_SECRET is not valid: {problem}.") from None
    try:
        tls = discovery.tls_context(settings.webhook_ca_file)
    except OSError:
        raise SettingsInvalid(
            f"{PREFIX}WEBHOOK_CA_FILE is not a readable file of certificates in PEM form."
        ) from None
    lookup = HostLookup()
    gate = Gate(replace(egress, allowed_ports=None), lookup)  # the list of ports is one for mail
    return Webhook(url.get_secret_value(), keys, look_up=lookup.addresses, permitted=gate.admits, tls=tls)


def create_service(
    backend: Backend, metrics: PrometheusMetrics | None = None, tracing: Tracing | None = None
) -> ASGIApp:
    """The APIs and the site over *backend*, which is closed with *tracing* when they end."""
    counted = metrics or PrometheusMetrics()
    telemetry = NO_TELEMETRY if tracing is None else tracing.of_requests
    dialects = [(api, api.build(backend.use_cases, telemetry)) for api in APIS]
    token_path = next(dialect.token_path for dialect in DIALECTS if dialect.token_path)

    @cache
    def documents() -> Mapping[str, Document]:
        return {dialect.name: document(app, token_path) for dialect, app in dialects}

    @asynccontextmanager
    async def lifespan(_site: FastAPI) -> AsyncIterator[None]:
        await backend.establish()
        documents()  # now, so that no request has to wait for them
        try:
            async with backend.watching(), sampling(lambda: counted.sample_pool(backend.store.pool())):
                yield
        finally:
            await backend.close()
            if tracing is not None:
                await tracing.close()

    site = create_site(documents, backend.store.ping, lifespan, backend.use_cases.allowed_hosts)
    return create_app(dialects, site, [counted.answered])


def service_from_environment() -> ASGIApp:
    """What uvicorn's workers start with."""
    settings = read()
    logs.configure("text" if settings.dev else settings.log_format, settings.log_level)
    metrics = PrometheusMetrics(metrics_directory())
    tracing = create_tracing(settings)
    service = create_service(create_backend(settings, metrics, tracing), metrics, tracing)
    # What is made by now lives as long as the process; the garbage collector need not look at it again.
    gc.freeze()
    return service


def create_tracing(settings: Settings) -> Tracing | None:
    """What sends traces, if they are wanted. Raises `SettingsInvalid`."""
    require_tracing(settings)
    return send_traces_to(settings.otlp_endpoint) if settings.otlp_endpoint else None


def require_tracing(settings: Settings) -> None:
    """Raises `SettingsInvalid` if traces are wanted that cannot be sent."""
    if settings.otlp_endpoint is not None:
        try:
            require_installed()
        except TracingNotInstalled as missing:
            raise SettingsInvalid(f"{PREFIX}OTLP_ENDPOINT is set. {missing}") from None


def _probe_limits(settings: Settings) -> ProbeLimits:
    return ProbeLimits(
        at_once=settings.smtp_tests_at_once,
        at_once_each=settings.smtp_tests_at_once_each,
        per_minute_each=settings.smtp_tests_per_minute_each,
        deadline_seconds=settings.smtp_deadline_seconds,
    )


def _egress(settings: Settings) -> EgressPolicy:
    """No list opens the way to our own sockets."""
    own = [(settings.host, settings.port), *endpoints(settings.database)]
    return EgressPolicy(
        allowed_networks=settings.tested_networks,
        allowed_ports=settings.tested_ports,
        preset=Preset(settings.smtp_egress),
        own=tuple(Endpoint(host, port) for host, port in own),
    )


def create_prober(settings: Settings, egress: EgressPolicy) -> SMTPProber:
    """What tests mail servers, as far as *egress* lets it; needs neither database nor keys."""
    return SMTPProber(
        egress,
        ehlo_name=settings.smtp_ehlo_name,
        deadline_seconds=settings.smtp_deadline_seconds,
        allow_cleartext_credentials=settings.smtp_cleartext_login,
        trust=TLSTrust(settings.smtp_ca_file),
        oauth2=OAuth2Tokens(settings.oauth2_authority, settings.smtp_ca_file),
    )
