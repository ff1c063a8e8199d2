"""An OpenID Connect issuer on loopback: it signs, rotates its keys, goes away, and lies if told to."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mailsettings.auth.trusted_issuer import ClaimGrants, TrustedIssuer
from mailsettings.network.http import HTTPClient
from mailsettings.network.tls import client_context

from support.connections import make_client

AUDIENCE = "mail-settings-api"
DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Lie = Callable[[BaseHTTPRequestHandler], None]

RSA_KEY = rsa.generate_private_key(65537, 2048)
"""One for all tests: making one takes a tenth of a second, and longer on a busy machine."""


def issuer_client(ca_file: Path | None = None) -> HTTPClient:
    """What fetches the keys of an issuer, which is trusted by the system's authorities or those in *ca_file*."""
    return make_client(client_context(ca_file=ca_file))


@dataclass
class SigningKey:
    """A key with an id; `jwk` is its published form."""

    key_id: str | None
    algorithm: str = "ES256"
    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """Its public half; a change to None leaves the member out."""
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public = algorithm.to_jwk(self.key.public_key(), as_dict=True)
        public.pop("key_ops", None)
        whole = public | {"kid": self.key_id, "use": "sig", "alg": self.algorithm} | changes
        return {name: value for name, value in whole.items() if value is not None}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token of these claims."""
        named = {"kid": self.key_id} if self.key_id is not None else {}
        return jwt.encode(claims, self.key, self.algorithm, named | header)


@dataclass
class OpenIDIssuer:
    """The issuer: change `published` to have other keys, `lies` to answer a path in a way of your own."""

    url: str = ""
    key: SigningKey = field(default_factory=lambda: SigningKey("first"))
    published: Any = None
    described: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self.asked.count(KEYS)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a good token; a change to None leaves the claim out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600}
        whole = good | {"roles": ["mail-admin"]} | changes
        return {name: value for name, value in whole.items() if value is not None}

    def token(self, **changes: Any) -> str:
        """A token that is good unless changed."""
        return self.key.sign(self.claims(**changes))

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on, and publish that one only."""
        self.key = SigningKey(key_id)

    def start(self) -> None:
        """Come (back) on the same port."""
        port = self._server.server_address[1] if self._server else 0
        self._server = _Server(("127.0.0.1", int(port)), self._handler())
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def go_away(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                if self.path in issuer.lies:
                    issuer.lies[self.path](self)
                elif self.path.endswith(DISCOVERY):  # an issuer may have a path
                    itself = issuer.url + self.path.removesuffix(DISCOVERY)
                    says = {"issuer": itself, "jwks_uri": issuer.url + KEYS} | issuer.described
                    answer(self, json.dumps(says).encode())
                elif self.path == KEYS:
                    keys = [issuer.key.jwk()] if issuer.published is None else issuer.published
                    answer(self, json.dumps({"keys": keys}).encode())
                else:
                    answer(self, b"{}", 404)

        return Handler


class _Server(ThreadingHTTPServer):
    block_on_close = False

    def handle_error(self, *_arguments: Any) -> None:
        """A client that hangs up is what some tests are about."""


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """A whole answer."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def issuer() -> Iterator[OpenIDIssuer]:
    """An issuer that is there."""
    made = OpenIDIssuer()
    made.start()
    yield made
    made.go_away()


@pytest.fixture
def tls_issuer(tmp_path: Path) -> Iterator[tuple[OpenIDIssuer, Path]]:
    """An issuer with TLS, and the file of its certificate authority."""
    authority, ca_file = trustme.CA(), tmp_path / "issuers-authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    made = OpenIDIssuer(tls=context)
    made.start()
    yield made, ca_file
    made.go_away()


GRANTS = {
    "mail-admin": frozenset({"manage-system-settings"}),
    "auditor": frozenset({"view-mail-settings"}),
}
"""What two roles allow."""


def trusted(issuer: OpenIDIssuer, /, **changes: Any) -> TrustedIssuer:
    """The trust that the tests give to *issuer*, unless changed."""
    usual = {"issuer": issuer.url, "audiences": (AUDIENCE,), "permissions": (ClaimGrants(("roles",), GRANTS),)}
    return TrustedIssuer(**(usual | changes))


@dataclass
class Clock:
    """A manual clock, which measures the age of the keys."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the cache of the issuer's keys."""
    return Clock()
