"""The composition root: from settings to a running whole. The one place where everything meets."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp

from mailsettings import logs
from mailsettings.app import create_app
from mailsettings.auth import signing_key
from mailsettings.auth.passwords import Argon2Passwords
from mailsettings.auth.tokens import IssuedToken, TokenIssuer, TokenVerifier
from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Account, Grants
from mailsettings.settings import Settings, read
from mailsettings.site.openapi import document
from mailsettings.site.pages import create_site
from mailsettings.smtp.egress import EgressPolicy
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSTrust
from mailsettings.store import key_file, migrations
from mailsettings.store.sealing import Sealer
from mailsettings.store.sql_store import SQLStore
from mailsettings.use_cases.accounts import KeepAccounts
from mailsettings.use_cases.admission import ProbeLimits
from mailsettings.use_cases.connection_test import ProbeMailServers
from mailsettings.use_cases.mail_servers import KeepMailServers
from mailsettings.web.dialect import UseCases

ISSUER = "mailsettings"
GRANTS: Grants = {name: allowed for dialect in DIALECTS for name, allowed in dialect.grants.items()}
"""Every name an organisation can give to permissions, of all vendors."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What the APIs and the command line stand on."""

    store: SQLStore
    passwords: Argon2Passwords
    issuer: TokenIssuer
    use_cases: UseCases

    async def close(self) -> None:
        """Give back connections and threads."""
        self.passwords.close()
        await self.store.close()


def prepare(settings: Settings) -> None:
    """Bring the database to the state this program needs: by ourselves if it is ours, else by demand.

    Raises `SchemaError`.
    """
    if settings.embedded:
        migrations.migrate(settings.database)
    else:
        migrations.require_current(settings.database)


def create_backend(settings: Settings) -> Backend:
    """Everything but HTTP; nothing is connected yet."""
    key = signing_key.load(key_file.read_or_create(settings.data_dir / "signing-key.pem", signing_key.make))
    store = SQLStore(settings.database, Sealer(key_file.sealing_key(settings.data_dir / "sealing-key")))
    passwords = Argon2Passwords()
    prober = create_prober(settings, EgressPolicy(settings.tested_networks, settings.tested_ports))
    issuer = TokenIssuer(key, ISSUER, [dialect.token_claims for dialect in DIALECTS])
    mail_servers = KeepMailServers(store)

    def issue_token(account: Account) -> IssuedToken:
        return issuer.issue(account.name, account.grants, settings.token_lifetime_seconds)

    use_cases = UseCases(
        mail_servers=mail_servers,
        probes=ProbeMailServers(mail_servers, prober, _probe_limits(settings)),
        accounts=KeepAccounts(store, passwords),
        tokens=TokenVerifier(key.public_key(), ISSUER, GRANTS),
        issue_token=issue_token,
        public_url=settings.public_url,
        client_secret=settings.client_secret.get_secret_value() if settings.client_secret else None,
    )
    return Backend(store, passwords, issuer, use_cases)


def create_service(backend: Backend) -> ASGIApp:
    """The APIs and the site over *backend*, which is closed when they end."""
    dialects = [(dialect, dialect.build(backend.use_cases)) for dialect in DIALECTS]
    token_path = next(dialect.token_path for dialect in DIALECTS if dialect.token_path)
    documents = {dialect.name: document(app, token_path) for dialect, app in dialects}

    @asynccontextmanager
    async def lifespan(_site: FastAPI) -> AsyncIterator[None]:
        await backend.store.admit_key()
        try:
            yield
        finally:
            await backend.close()

    return create_app(dialects, create_site(documents, backend.store.ping, lifespan))


def service_from_environment() -> ASGIApp:
    """What uvicorn's workers start with."""
    settings = read()
    logs.configure("text" if settings.dev else settings.log_format, settings.log_level)
    service = create_service(create_backend(settings))
    # What is made by now lives as long as the process; the garbage collector need not look at it again.
    gc.freeze()
    return service


def _probe_limits(settings: Settings) -> ProbeLimits:
    return ProbeLimits(
        at_once=settings.smtp_tests_at_once,
        at_once_each=settings.smtp_tests_at_once_each,
        per_minute_each=settings.smtp_tests_per_minute_each,
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
