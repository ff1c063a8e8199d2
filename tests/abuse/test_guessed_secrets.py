"""Whoever may change settings and read everything does not find out whether a guess is the stored secret.

Each test makes one change with the stored secret and the same change with another one, and compares all that an
account can read afterwards.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Any

import httpx
import pytest

from mailsettings.bootstrap import Backend, create_service
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.difference import described
from mailsettings.telemetry.metrics import PrometheusMetrics

from canary import Canary
from service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS

STORED = f"{SMTP_SETTINGS}/1"
ALL_GRANTS = ("manage-system-settings", "view-audit-log", "view-metrics")
WRONG = "another secret"
Body = dict[str, Any]


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    return {"RECHECK_INTERVAL": "1d"}


@pytest.fixture
async def reader(backend: Backend, metrics: PrometheusMetrics) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with all permissions."""
    token = await backend.issue_token(OPERATOR, "mallory", ALL_GRANTS, 600)
    transport = httpx.ASGITransport(create_service(backend, metrics))
    headers = {"Authorization": f"Bearer {token.text}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
        yield client


def oracle(password: str) -> Body:
    return {
        "host": "mail.example.org",
        "port": 587,
        "sender": {"displayName": "Reports", "emailAddress": "reports@example.org"},
        "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": "scans", "password": password},
        "connectionSecurity": {
            "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
            "tlsCertificateDetails": {"certificateType": "DEFAULT_TLS_CERTIFICATE"},
        },
    }


def oracle_oauth2(secret: str) -> Body:
    details = {
        "oAuth2Provider": "MS_OAUTH2",
        "clientId": "5d0c1b3e-8f7a-4f2b-9c41-6f3d2a1b0e9c",
        "tenant": "example.org",
        "username": "scans@example.org",
        "secret": secret,
    }
    auth = {"authType": "OAUTH2_AUTH", "oAuth2Details": details}
    return {**oracle(secret), "auth": auth}


def checkmarx(password: str) -> Body:
    return {
        "host": "mail.example.org",
        "port": 587,
        "encryptionType": "Tls",
        "fromAddress": "reports@example.org",
        "displayName": "Reports",
        "username": "scans",
        "password": password,
    }


async def observed(backend: Backend, http: httpx.AsyncClient, change: httpx.Response) -> str:
    """All that can be read after *change*, without what differs from one change to the next."""
    answers = [change]
    for path in (MAIL_SERVER, STORED, SMTP_SETTINGS):
        answers.append(await http.get(path))
        answers.append(await http.get(path, headers={"If-None-Match": change.headers.get("ETag", '"x"')}))
    entries = [entry async for entry in backend.use_cases.audit_log.all(OPERATOR, "")]
    listed = [(entry.record.action, entry.record.outcome, entry.record.details) for entry in entries[-2:]]
    metrics = re.findall(r"^mailsettings_\w*days_left.*$", (await http.get("/metrics")).text, re.MULTILINE)
    history = [described(each.server) for each in (await backend.use_cases.history.versions(OPERATOR, 1))[:2]]
    watched = [str(each) for each in await backend.watch_status.list(OPERATOR)]
    seen = [(each.status_code, sorted(each.headers.items()), each.text) for each in answers]
    return without_chance(json.dumps([seen, listed, metrics, history, watched], default=str))


def without_chance(text: str) -> str:
    """*text* with labels numbered by their first appearance, and without versions, times and request ids."""
    numbers: dict[str, int] = {}
    text = re.sub(
        "label ([0-9a-f]{12})", lambda found: f"label {numbers.setdefault(found[1], len(numbers))}", text
    )
    text = re.sub(r"1\.\d+\.[0-9a-f]{13,16}", "STATE", text)
    text = re.sub(r"version=\d+", "VERSION", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00)?|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "TIME", text)
    return re.sub("[0-9a-f]{32}|[0-9a-f-]{36}", "ID", text)


async def after(backend: Backend, http: httpx.AsyncClient, stored: Body, *requests: tuple[str, str, Any]) -> str:
    """What can be read after *stored* was stored, its end noted, and *requests* made."""
    await http.put(MAIL_SERVER, json=stored)
    await backend.watch_status.set_secret_end(OPERATOR, None, date(2999, 1, 1))
    for method, path, body in requests:
        change = await http.request(method, path, json=body)
        assert change.is_success, change.text
    return await observed(backend, http, change)


@pytest.mark.parametrize(
    ("path", "body", "stored"),
    [(MAIL_SERVER, oracle, oracle), (STORED, checkmarx, oracle), (MAIL_SERVER, oracle_oauth2, oracle_oauth2)],
    ids=["oracle", "checkmarx", "oauth2"],
)
async def test_a_right_guess_is_stored_like_a_wrong_one(
    backend: Backend, reader: httpx.AsyncClient, canary: Canary, path: str, body: Any, stored: Any
) -> None:
    right, wrong = [
        await after(backend, reader, stored(canary.secret), ("PUT", path, body(guess)))
        for guess in (canary.secret, WRONG)
    ]

    assert right == wrong
    assert "label 1" in right  # the label differs after a right guess too
    canary.assert_nowhere(right)


async def test_a_rollback_over_a_right_guess_is_like_one_over_a_wrong_one(
    backend: Backend, reader: httpx.AsyncClient, canary: Canary
) -> None:
    back = ("POST", f"{MAIL_SERVER}/actions/rollback", None)
    right, wrong = [
        await after(backend, reader, oracle(canary.secret), ("PUT", MAIL_SERVER, oracle(guess)), back)
        for guess in (canary.secret, WRONG)
    ]

    assert right == wrong


async def test_a_secret_that_is_kept_keeps_its_label_and_its_end(
    backend: Backend, reader: httpx.AsyncClient, canary: Canary
) -> None:
    kept = oracle("*" * 10) | {"sender": {"displayName": "Others", "emailAddress": "others@example.org"}}
    seen = await after(backend, reader, oracle(canary.secret), ("PUT", MAIL_SERVER, kept))

    assert "label 0" in seen
    assert "label 1" not in seen
    assert "2999" in seen
