"""Compose the use cases of the APIs. The tests of the APIs compose them here too, on parts of their own."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mailsettings.bootstrap.apis import GRANTS
from mailsettings.bootstrap.identity import ISSUER
from mailsettings.domain.access import Grants
from mailsettings.domain.audit_witness import WitnessedEntry
from mailsettings.settings import Settings
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.login import Authenticator, LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import GaugeSource, ReadMetrics
from mailsettings.use_cases.ports import Meter, PasswordHasher, Prober, TokenIssuer, TokenReader
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.dialect import UseCases


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the use cases stand on.

    `witnessed` returns the entry that the witness of the audit log noted; `json_web_keys` returns the keys that
    verify our access tokens; `grants` are all names of permissions.
    """

    store: SQLStore
    prober: Prober
    passwords: PasswordHasher
    issuer: TokenIssuer
    reader: TokenReader
    meter: Meter
    json_web_keys: Callable[[], Awaitable[Mapping[str, object]]]
    witnessed: Callable[[], Awaitable[WitnessedEntry | None]]
    limits: ConnectionTestLimits
    gauges: Sequence[GaugeSource] = ()
    grants: Grants = field(default_factory=lambda: GRANTS)
    clock: Callable[[], float] = time.time


def create_use_cases(settings: Settings, parts: Parts) -> UseCases:
    """Return the use cases that the APIs call."""
    store, denial_log = parts.store, DenialLog(parts.store)
    lifetime, secret = settings.token_lifetime_seconds, settings.token_client_secret
    return UseCases(
        mail_servers=ManageMailServers(store, settings.max_history_versions),
        history=MailServerHistory(store, settings.max_history_versions),
        probes=RunConnectionTests(store, parts.prober, parts.limits, denial_log, parts.meter),
        log_in=LogIn(store, parts.passwords, parts.issuer, denial_log, lifetime, parts.clock, parts.meter),
        authentication=Authenticator(store, parts.reader, parts.grants, denial_log),
        audit_log=ReadAuditLog(store, parts.witnessed),
        metrics=ReadMetrics(parts.meter, parts.gauges),
        json_web_keys=parts.json_web_keys,
        issuer=ISSUER,
        public_url=settings.public_url,
        client_secret=secret.get_secret_value() if secret else None,
        allowed_hosts=settings.allowed_hosts,
        concurrent_requests=ConcurrentRequests(settings.max_concurrent_requests_per_client),
    )
