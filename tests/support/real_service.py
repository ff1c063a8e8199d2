"""Fixtures of the service with nothing replaced: real database, passwords, tokens and connection tests."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from argon2 import Parameters, PasswordHasher, Type

from mailsettings import settings
from mailsettings.auth.passwords import Argon2Passwords
from mailsettings.bootstrap.backend import Backend, create_backend, prepare
from mailsettings.bootstrap.service import create_service
from mailsettings.domain.access import OPERATOR, Account
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.telemetry.tracing import Tracing

from support.service import BASE_URL, TOKEN
from support.smtp_server import AUTHORITY_PEM
from support.timeouts import GUARD_SECONDS

# A hash of the service takes as long as a whole test. `tests/auth` and `tests/abuse/test_guessing.py` test those.
_CHEAP = Parameters(Type.ID, 19, 16, 32, 1, 8, 1)
ADMIN = Account("admin", frozenset({"manage-system-settings"}))
ADMIN_PASSWORD = "canary-3f6d2b90"


def cheap_passwords() -> Argon2Passwords:
    """Return real hashes with the lowest cost."""
    return Argon2Passwords(PasswordHasher.from_parameters(_CHEAP))


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    """More settings, without their prefix, for modules to say."""
    return {}


@pytest.fixture
def metrics() -> PrometheusMetrics:
    """The metrics of one test."""
    return PrometheusMetrics()


@pytest.fixture
def tracing() -> Tracing | None:
    """Off, unless a module says otherwise."""
    return None


@pytest.fixture
async def backend(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service_settings: Mapping[str, str],
    metrics: PrometheusMetrics,
    tracing: Tracing | None,
) -> AsyncIterator[Backend]:
    """Everything but HTTP; connection tests may reach loopback, and trust the authority of the tests."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(AUTHORITY_PEM)
    given = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path / "keys"),
        "DEV": "true",
        "SMTP_CA_FILE": str(ca_file),
        "SMTP_TEST_TIMEOUT_SECONDS": str(GUARD_SECONDS),
        "PUBLIC_URL": "https://mail-settings.example.org/",
    }
    for name, value in {**given, **service_settings}.items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", value)
    chosen = settings.read()
    prepare(chosen)
    backend = create_backend(chosen, metrics, tracing, passwords=cheap_passwords())
    await backend.establish()
    await backend.accounts.add(OPERATOR, ADMIN, ADMIN_PASSWORD)
    yield backend
    await backend.close()


@pytest.fixture
async def http(
    backend: Backend, metrics: PrometheusMetrics, tracing: Tracing | None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has logged in as the vendor's clients do."""
    transport = httpx.ASGITransport(create_service(backend, metrics, tracing))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        form = {
            "grant_type": "password",
            "username": "admin",
            "password": ADMIN_PASSWORD,
            "scope": "sast_rest_api",
        }
        answer = await client.post(TOKEN, data=form)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
