"""An authority that gives out access tokens for client credentials, as Microsoft's does, by HTTPS on loopback."""

import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mailsettings.domain.certificates import Trust
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.tls import TLSContexts

from support.connections import make_network
from support.smtp_server import AUTHORITY

TOKEN = "canary-token-0b9c"


class _Trust(TLSContexts):
    """Trusts the authority of the tests as if it were the system's."""

    def _make(self, trust: Trust) -> ssl.SSLContext:
        context = super()._make(trust)
        AUTHORITY.configure_trust(context)
        return context


TRUST = _Trust()
"""Shared, because a context takes 32 ms to make."""


def make_tokens(url: str = "https://127.0.0.1:1") -> OAuth2Tokens:
    """What gets tokens from the authority at *url*; by default there is none."""
    return OAuth2Tokens(url, make_network(), TRUST)


@dataclass
class Authority:
    """A token endpoint, and the forms it was sent."""

    url: str = ""
    token: str = TOKEN
    refusal: str | None = None
    unknown_tenant: bool = False
    down: str | None = None
    """The method that is answered by a 503."""
    answer: Any = ...
    forms: list[dict[str, list[str]]] = field(default_factory=list)


@pytest.fixture
def authority() -> Iterator[Authority]:
    seen = Authority()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            if seen.down == "GET":
                self.answer(503, {"error": "canary"})
                return
            if seen.unknown_tenant:
                said = "AADSTS90002: Tenant 'tenant.example' not found."
                self.answer(400, {"error": "invalid_tenant", "error_description": said})
                return
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
            if seen.down == "POST":
                self.answer(503, {"error": "canary"})
            elif seen.answer is not ...:
                self.answer(200, seen.answer)
            elif seen.refusal is None:
                self.answer(200, {"access_token": seen.token, "token_type": "Bearer", "expires_in": 3600})
            else:
                said = f"{seen.refusal}: because of {form['client_secret'][0]}"
                self.answer(401, {"error": "invalid_client", "error_description": said})

        def answer(self, status: int, content: Any) -> None:
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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # how soon it notices its end
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()
