"""The composition root: build the whole service from the settings."""

from mailsettings.bootstrap.apis import GRANTS, SINGLE_SERVER_APIS
from mailsettings.bootstrap.backend import Backend, create_backend, prepare, require_database
from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.bootstrap.outgoing import create_prober, create_webhook
from mailsettings.bootstrap.service import (
    create_service,
    create_tracing,
    require_tracing,
    service_from_environment,
)

__all__ = [
    "GRANTS",
    "SINGLE_SERVER_APIS",
    "Backend",
    "create_backend",
    "create_foreign_tokens",
    "create_prober",
    "create_service",
    "create_tracing",
    "create_webhook",
    "prepare",
    "require_database",
    "require_tracing",
    "service_from_environment",
]
