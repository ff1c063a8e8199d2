"""A caller who may change settings and read everything cannot check a guess at the stored secret.

Each test makes one change with the stored secret and the same change with another secret, and compares all that an
account can read afterwards.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from mailsettings.bootstrap.backend import Backend
from mailsettings.bootstrap.service import create_service
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import described
from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.telemetry.metrics import PrometheusMetrics

from support.canary import Canary
from support.probers import MakeProber
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS
from support.smtp_server import USERNAME, Behaviour, real_server

STARTTLS = ConnectionSecurity.STARTTLS
STORED = f"{SMTP_SETTINGS}/1"
ALL_GRANTS = ("manage-system-settings", "view-audit-log", "view-metrics")
WRONG = "another secret"
Body = dict[str, Any]


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    return {"MONITORING_INTERVAL": "1d"}


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
    watched = [str(each) for each in await backend.monitoring_status.list(OPERATOR)]
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
    await backend.monitoring_status.set_secret_expiry(OPERATOR, None, date(2999, 1, 1))
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


async def test_a_rollback_looks_alike_over_right_and_wrong_guesses(
    backend: Backend, reader: httpx.AsyncClient, canary: Canary
) -> None:
    back = ("POST", f"{MAIL_SERVER}/actions/rollback", None)
    right, wrong = [
        await after(backend, reader, oracle(canary.secret), ("PUT", MAIL_SERVER, oracle(guess)), back)
        for guess in (canary.secret, WRONG)
    ]

    assert right == wrong


async def test_a_kept_secret_keeps_its_label_and_expiry(
    backend: Backend, reader: httpx.AsyncClient, canary: Canary
) -> None:
    kept = oracle("*" * 10) | {"sender": {"displayName": "Others", "emailAddress": "others@example.org"}}
    seen = await after(backend, reader, oracle(canary.secret), ("PUT", MAIL_SERVER, kept))

    assert "label 0" in seen
    assert "label 1" not in seen
    assert "2999" in seen


ECHOES = {
    "the address": "550 5.1.1 <{guess}@example.com>: Recipient address rejected",
    "the local part": "550 5.1.1 User {guess} is not known here",
    "in capitals": "550 5.1.1 <{GUESS}@EXAMPLE.COM> no such user",
    "the address of another": "550 5.7.1 <{guess}@example.com> may not send to <scans@example.com>",
}


def replies(command: str, secret: str, said: str) -> Behaviour:
    """How a server is set up that says this to one command."""
    behaviour = Behaviour(STARTTLS, secret)
    if command == "sender":
        return replace(behaviour, sender_reply=said)
    return replace(behaviour, recipient_reply=said)


def guessing(canary: Canary) -> list[str]:
    """The stored secret and another of its form, as parts of addresses."""
    return [re.sub("[^a-z0-9]", "-", canary.secret), "another-secret-1f00ba"]


@pytest.mark.parametrize("command", ["sender", "recipient"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_guess_in_an_address_is_shown_like_any_address(
    make_prober: MakeProber, canary: Canary, command: str, echo: str
) -> None:
    """The server repeats the address, and the report hides the stored secret in what the server says."""
    secret, wrong = guessing(canary)
    login = PasswordAuthentication(USERNAME, Secret.sealed(lambda: secret, "label"))
    shown = []
    for guess in (secret, wrong):
        said = ECHOES[echo].format(guess=guess, GUESS=guess.upper())
        async with real_server(replies(command, secret, said)) as server:
            settings = server.settings(STARTTLS, login)
            address = f"{guess}@example.com"
            if command == "sender":
                settings = replace(settings, sender=Sender(address))
            report = await make_prober().probe(settings, address if command == "recipient" else None)
        text = repr((report.failure, [stage.observed.reply for stage in report.stages]))
        shown.append(re.sub(re.escape(guess), "GUESS", text, flags=re.IGNORECASE))

    assert shown[0] == shown[1]
    assert "GUESS" in shown[0]


async def test_secret_next_to_an_address_in_reply_is_hidden(make_prober: MakeProber, canary: Canary) -> None:
    [secret, _] = guessing(canary)
    login = PasswordAuthentication(USERNAME, Secret.sealed(lambda: secret, "label"))
    for said in (
        f"<b@example.com> {secret}",
        f"{secret[:9]}<b@example.com>{secret[9:]}",
        f"{secret}b@example.com",
    ):
        async with real_server(Behaviour(STARTTLS, secret, recipient_reply=f"550 5.1.1 {said}")) as server:
            report = await make_prober().probe(server.settings(STARTTLS, login), "b@example.com")

        assert secret not in repr(report)
        assert secret[:9] not in repr(report)
