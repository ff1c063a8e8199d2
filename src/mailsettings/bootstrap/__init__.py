"""The composition root: build the whole service from the settings."""

from mailsettings.bootstrap.backend import (
    Backend,
    create_backend,
    prepare,
    require_database,
    require_usable,
)
from mailsettings.bootstrap.outgoing import create_prober, create_webhook
from mailsettings.bootstrap.service import (
    create_service,
    create_tracing,
    require_tracing,
    service_from_environment,
)
from mailsettings.bootstrap.use_cases import GRANTS, SINGLE_SERVER_APIS, create_foreign_tokens

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
    "require_usable",
    "service_from_environment",
]
