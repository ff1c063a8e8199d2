"""Microsoft client credentials, against an authority of our own: a token is fetched, kept, and logged in with."""

import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.secret import Secret
from mailsettings.smtp.oauth2 import OAuth2Tokens

from smtp_server import AUTHORITY, AUTHORITY_PEM, USERNAME, Behaviour, real_server

CANARY = "canary-client-secret-6a1e"
TOKEN = "canary-token-0b9c"


@dataclass
class Authority:
    """A token endpoint, and the forms it was sent."""

    url: str = ""
    forms: list[dict[str, list[str]]] = field(default_factory=list)


@pytest.fixture
def authority() -> Iterator[Authority]:
    seen = Authority()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            base = f"{seen.url}/tenant.example"
            self.answer(
                200,
                {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                },
            )

        def do_POST(self) -> None:
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            seen.forms.append(form)
            if form["client_secret"] == [CANARY]:
                self.answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
            else:
                said = f"AADSTS7000215: Invalid client secret provided: {form['client_secret'][0]}"
                self.answer(401, {"error": "invalid_client", "error_description": said})

        def answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    seen.url = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tokens(authority: Authority, tmp_path: Path) -> OAuth2Tokens:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(AUTHORITY_PEM)
    return OAuth2Tokens(authority.url, ca_file)


def login(secret: str = CANARY) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(USERNAME, "client", "tenant.example", Secret(secret))


async def test_a_token_is_fetched_once_and_logged_in_with(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens
) -> None:
    security = ConnectionSecurity.STARTTLS
    prober = make_prober(oauth2=tokens, deadline_seconds=10)
    async with real_server(Behaviour(security, TOKEN)) as server:
        reports = [await prober.probe(server.settings(security, login()), "to@example.org") for _ in range(2)]

    assert [report.failure for report in reports] == [None, None]
    assert server.attempts == ["XOAUTH2", "XOAUTH2"]
    assert len(server.messages) == 2
    assert [form["scope"] for form in authority.forms] == [["https://outlook.office365.com/.default"]]
    assert "canary" not in repr(reports)


async def test_a_refused_client_is_told_apart_from_a_refused_login(make_prober: Any, tokens: OAuth2Tokens) -> None:
    security = ConnectionSecurity.STARTTLS
    prober = make_prober(oauth2=tokens, deadline_seconds=10)
    async with real_server(Behaviour(security, TOKEN)) as server:
        wrong_client = await prober.probe(server.settings(security, login("canary-wrong-one")), None)
    async with real_server(Behaviour(security, "another token")) as server:
        wrong_login = await prober.probe(server.settings(security, login()), None)

    assert wrong_client.failure is not None
    assert wrong_login.failure is not None
    assert (wrong_client.failure.code, wrong_client.failure.stage) == (
        FailureCode.OAUTH2_TOKEN_FAILED,
        ProbeStage.AUTHENTICATE,
    )
    assert "AADSTS7000215" in wrong_client.failure.explanation
    assert wrong_login.failure.code is FailureCode.AUTHENTICATION_FAILED
    assert "canary" not in repr((wrong_client, wrong_login))


async def test_an_authority_that_is_away_is_told_at_the_login(make_prober: Any, tmp_path: Path) -> None:
    security = ConnectionSecurity.STARTTLS
    prober = make_prober(oauth2=OAuth2Tokens("https://127.0.0.1:1"), deadline_seconds=10)
    async with real_server(Behaviour(security, TOKEN)) as server:
        report = await prober.probe(server.settings(security, login()), None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (
        FailureCode.OAUTH2_TOKEN_FAILED,
        ProbeStage.AUTHENTICATE,
    )
    assert server.attempts == []
