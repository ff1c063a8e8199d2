"""Tokens with a valid signature of this service and claims that it never issues."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mailsettings.auth.tokens import load
from mailsettings.bootstrap.backend import Backend

from support.service import MAIL_SERVER, SMTP_SETTINGS

NOW = int(time.time())
CLAIMS = {"iss": "mailsettings", "aud": "mailsettings", "sub": "alice", "iat": NOW, "grants": []}
TIMES = {
    "beyond a float": "1" + "0" * 400,
    "beyond what Python converts": "1" + "0" * 5000,
    "infinite": "1e400",
    "minus infinite": "-1e400",
    "Infinity": "Infinity",
    "NaN": "NaN",
    "the largest float": "1.7976931348623157e308",
    "after the year 9999": "253402300800",
    "negative": "-1",
    "a boolean": "true",
    "null": "null",
    "a string": f'"{NOW + 60}"',
    "a list": f"[{NOW + 60}]",
    "an object": "{}",
}
OTHERS: dict[str, Any] = {
    "grants that are a number": {"grants": 1},
    "grants that are a name": {"grants": "manage-system-settings"},
    "grants that are objects": {"grants": [{}]},
    "a stamp that is an object": {"stamp": {}},
    "a subject that is a list": {"sub": ["alice"]},
}


async def signed(backend: Backend, payload: str) -> str:
    """A token over *payload* as it is written; a library for tokens would not write most of it."""
    [(key_id, pem)] = await backend.signing_keys.list()
    key = load(pem)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    header = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": key_id})
    whole = ".".join(part(text.encode()) for text in (header, payload))
    return f"{whole}.{part(ECAlgorithm(ECAlgorithm.SHA256).sign(whole.encode(), key))}"


def part(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.fixture
def kind() -> str:
    """One database is enough: no token here gets that far."""
    return "sqlite"


async def status(http: httpx.AsyncClient, token: str) -> set[int]:
    headers = {"Authorization": f"Bearer {token}"}
    return {(await http.get(path, headers=headers)).status_code for path in (SMTP_SETTINGS, MAIL_SERVER, "/audit")}


async def test_a_usual_payload_is_good(backend: Backend, http: httpx.AsyncClient) -> None:
    """Or the tests below would prove nothing."""
    token = await signed(backend, json.dumps(CLAIMS | {"exp": NOW + 600}))

    assert await status(http, token) == {403}


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_a_time_that_is_no_time_is_a_401(backend: Backend, http: httpx.AsyncClient, claim: str) -> None:
    others = {name: said for name, said in (CLAIMS | {"exp": NOW + 600}).items() if name != claim}
    answers = {}
    for name, value in TIMES.items():
        token = await signed(backend, f'{json.dumps(others)[:-1]}, "{claim}": {value}}}')
        answers[name] = await status(http, token)

    assert answers == {name: {401} for name in TIMES}


async def test_a_claim_of_another_type_is_a_401(backend: Backend, http: httpx.AsyncClient) -> None:
    answers = {}
    for name, claims in OTHERS.items():
        answers[name] = await status(http, await signed(backend, json.dumps(CLAIMS | {"exp": NOW + 600} | claims)))

    assert answers == {name: {401} for name in OTHERS}
