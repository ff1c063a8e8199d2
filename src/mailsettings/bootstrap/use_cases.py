"""Compose the use cases of one process."""

import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Grants
from mailsettings.domain.audit_log import WitnessedEntry
from mailsettings.domain.listening import SubmissionAddress
from mailsettings.settings import Settings, effective_settings
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS
from mailsettings.store import database_url
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.devices.management import ManageDevices
from mailsettings.use_cases.devices.testing import RunDeviceTests
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.keys import ManageEncryptionKeys, ManageSigningKeys
from mailsettings.use_cases.login import Authenticator, LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import GaugeSource, ReadMetrics
from mailsettings.use_cases.monitoring.status import MonitoringStatus
from mailsettings.use_cases.own_account import OwnAccount
from mailsettings.use_cases.ports import Meter, PasswordHasher, Prober, TokenIssuer, TokenReader
from mailsettings.use_cases.relay.messages import ReadMessages
from mailsettings.use_cases.service import DescribeService
from mailsettings.use_cases.several_tests import RunSeveralTests
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.dialect import UseCases

APIS = (*DIALECTS, AUDIT, METRICS)
"""The vendors' APIs, and this service's own."""
GRANTS: Grants = {name: allowed for api in APIS for name, allowed in api.grants.items()}
"""All names of permissions, with what they allow."""
SINGLE_SERVER_APIS = [api.single_server_name for api in DIALECTS if api.single_server_name]
"""The command line's names of the APIs that show the default mail server alone."""
ISSUER = "mailsettings"
"""The claim `iss` in the access tokens of this service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the use cases stand on.

    `witnessed` returns the entry that the witness of the audit log noted; `json_web_keys` returns the keys that
    verify our access tokens; `relay_prober` tests our own relays, and `grants` are all names of permissions.
    """

    store: SQLStore
    prober: Prober
    passwords: PasswordHasher
    issuer: TokenIssuer
    reader: TokenReader
    relay_prober: Prober
    meter: Meter
    json_web_keys: Callable[[], Awaitable[Mapping[str, object]]]
    witnessed: Callable[[], Awaitable[WitnessedEntry | None]]
    limits: ConnectionTestLimits
    encryption_keys: ManageEncryptionKeys
    signing_keys: ManageSigningKeys
    gauges: Sequence[GaugeSource] = ()
    grants: Grants = field(default_factory=lambda: GRANTS)
    clock: Callable[[], float] = time.time


def create_use_cases(settings: Settings, parts: Parts) -> UseCases:
    """Return the use cases that the APIs call."""
    store, denial_log = parts.store, DenialLog(parts.store)
    lifetime, secret = settings.token_lifetime_seconds, settings.token_client_secret
    probes = RunConnectionTests(store, parts.prober, parts.limits, denial_log, parts.meter)
    authentication = Authenticator(store, parts.reader, parts.grants, denial_log)
    log_in = LogIn(store, parts.passwords, parts.issuer, denial_log, lifetime, parts.clock, parts.meter)
    return UseCases(
        mail_servers=ManageMailServers(store, settings.max_history_versions),
        history=MailServerHistory(store, settings.max_history_versions),
        probes=probes,
        several_tests=RunSeveralTests(store, probes, parts.limits, authentication),
        log_in=log_in,
        authentication=authentication,
        audit_log=ReadAuditLog(store, parts.witnessed),
        metrics=ReadMetrics(parts.meter, parts.gauges),
        monitoring_status=MonitoringStatus(store),
        accounts=ManageAccounts(store, parts.passwords, parts.grants, parts.clock),
        own_account=OwnAccount(store, parts.passwords, log_in),
        encryption_keys=parts.encryption_keys,
        signing_keys=parts.signing_keys,
        service=_describing(settings, store),
        devices=ManageDevices(store),
        device_tests=RunDeviceTests(store, parts.relay_prober.probe, parts.limits),
        messages=ReadMessages(store),
        grants=parts.grants,
        json_web_keys=parts.json_web_keys,
        issuer=ISSUER,
        public_url=settings.public_url,
        client_secret=secret.get_secret_value() if secret else None,
        submission=submission_addresses(settings),
        allowed_hosts=settings.allowed_hosts,
        concurrent_requests=ConcurrentRequests(settings.max_concurrent_requests_per_client),
    )


def _describing(settings: Settings, store: SQLStore) -> DescribeService:
    shown = {"database_url": f"database {database_url.location(settings.database)}"}
    return DescribeService(
        store,
        effective_settings(settings, shown),
        settings.monitoring_interval,
        has_webhook=settings.webhook_url is not None,
    )


_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  # compared, not listened on


def submission_addresses(settings: Settings) -> Sequence[SubmissionAddress]:
    """Return where devices reach the relay, by the settings: under its name, or that of this service."""
    name = settings.relay_host_name or urlsplit(settings.public_url or "").hostname
    # Not the full DNS name, which may take a look-up of seconds.
    machine = socket.gethostname()
    return [
        SubmissionAddress(
            name or (machine if each.address.host in _EVERY_ADDRESS else each.address.host),
            each.address.port,
            each.kind,
        )
        for each in settings.relay_listen
    ]
