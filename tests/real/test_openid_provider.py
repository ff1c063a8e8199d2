"""Tokens of a certified OpenID provider, oidc-provider: from the login of a person to an answer of the service."""

import base64
import hashlib
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from support.external_programs import program
from support.processes import clean_environment, free_port, serving
from support.service import SMTP_SETTINGS
from support.timeouts import GUARD_SECONDS

SCRIPT = Path(__file__).parent / "flows" / "openid_provider.mjs"
API = "urn:mail-settings"
BACK = "https://app.example.org/back"
VERIFIER = "a" * 64


@contextmanager
def provider() -> Iterator[str]:
    """The provider; its address, which is the issuer."""
    library = Path(program("oidc-provider")).with_name("index.js")
    port = free_port()
    running = subprocess.Popen([program("node"), str(SCRIPT), str(library), str(port)])
    try:
        _wait_for(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(GUARD_SECONDS)


def _wait_for(url: str) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < end:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the provider does not answer")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider() as url:
        yield url


@pytest.fixture(scope="module")
def service(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service, which trusts roles of people, and the scope of one machine."""
    folder = tmp_path_factory.mktemp("service")
    file = folder / "issuers.toml"
    file.write_text(
        f"""
        [[issuer]]
        name = "people"
        issuer = "{issuer}"
        audience = ["mail-settings"]
        clients = ["web", "reader"]
        algorithms = ["RS256", "ES384"]
        [[issuer.permissions]]
        claim = "roles"
        values.mail-admin = ["manage-system-settings"]
        [[issuer.permissions]]
        claim = "scope"
        values."mail:read" = ["view-mail-settings"]
        """
    )
    with serving(clean_environment(folder / "data", OIDC_ISSUERS_FILE=str(file))) as (url, _):
        yield url


def log_in(issuer: str, name: str, resource: str) -> dict[str, Any]:
    """Return the tokens that a person's client gets for *resource* (authorization code flow with PKCE)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "web",
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "openid mail:read",
        "resource": resource,
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    with httpx.Client(base_url=issuer) as browser:
        answer = browser.get("/auth", params=asked)
        while not answer.headers.get("location", "").startswith(BACK):
            answer = _next_page(browser, answer, name)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        tokens = browser.post("/token", data=form | {"resource": resource}, auth=("web", "web-secret"))
    assert tokens.status_code == 200, tokens.text
    return dict(tokens.json())


def _next_page(browser: httpx.Client, answer: httpx.Response, name: str) -> httpx.Response:
    if answer.is_redirect:
        return browser.get(answer.headers["location"])
    action = re.search(r'action="([^"]+)"', answer.text)
    prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
    assert action, answer.text
    assert prompt, answer.text
    return browser.post(action[1], data={"prompt": prompt[1], "login": name, "password": "any"})


def machine_token(issuer: str, client: str, resource: str = API) -> str:
    form = {"grant_type": "client_credentials", "scope": "mail:read", "resource": resource}
    answer = httpx.post(f"{issuer}/token", data=form, auth=(client, f"{client}-secret"))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def statuses(service: str, token: str) -> tuple[int, int]:
    """Of a read and of a write."""
    headers = {"Authorization": f"Bearer {token}"}
    new = {"host": "mail.example.org", "port": 25, "fromAddress": "a@b.example"}
    read = httpx.get(service + SMTP_SETTINGS, headers=headers)
    return read.status_code, httpx.post(service + SMTP_SETTINGS, headers=headers, json=new).status_code


def name_of(service: str, token: str) -> str:
    answer = httpx.get(f"{service}/v1/me", headers={"Authorization": f"Bearer {token}"})
    return str(answer.json()["name"])


@pytest.mark.needs("node", "oidc-provider")
def test_people_and_machines_call_as_their_claims_allow(issuer: str, service: str) -> None:
    admin = log_in(issuer, "alice", API)["access_token"]
    reader = log_in(issuer, "bob", API)["access_token"]
    machine = machine_token(issuer, "reader")

    assert jwt.get_unverified_header(admin)["typ"] == "at+jwt"
    assert [jwt.get_unverified_header(token)["alg"] for token in (admin, machine)] == ["RS256", "ES384"]
    assert [statuses(service, token) for token in (admin, reader, machine)] == [(200, 201), (200, 403), (200, 403)]
    assert [name_of(service, token) for token in (admin, machine)] == ["people|alice", "people|reader"]


@pytest.mark.needs("node", "oidc-provider")
def test_other_tokens_of_the_provider_are_rejected(issuer: str, service: str) -> None:
    tokens = log_in(issuer, "alice", API)
    others = {
        "an ID token": tokens["id_token"],
        "a token for another API": log_in(issuer, "alice", "urn:another")["access_token"],
        "a token of another client": machine_token(issuer, "stranger"),
        "a changed token": tokens["access_token"][:-4] + "AAAA",
    }

    assert {what: statuses(service, token) for what, token in others.items()} == dict.fromkeys(others, (401, 401))
