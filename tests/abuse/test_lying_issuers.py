"""An issuer that has keys of no use, answers nonsense, slowly or for ever, and speaks for others. Case 37."""

import asyncio
import json
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailsettings.auth.jwks import MAX_KEYS, MIN_REFRESH_INTERVAL_SECONDS
from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.domain.errors import IdentityUnavailable, NotAuthenticated
from mailsettings.network.http import MAX_BODY_BYTES

from support.openid_issuer import (
    DISCOVERY,
    KEYS,
    RSA_KEY,
    Clock,
    OpenIDIssuer,
    SigningKey,
    answer,
    issuer_client,
    trusted,
)
from support.timeouts import GUARD_SECONDS

LONG_SECONDS = GUARD_SECONDS
"""Far more than any limit, far less than a test would hang without one."""


@pytest.fixture
def tokens(issuer: OpenIDIssuer, clock: Clock) -> OIDCTokenReader:
    return OIDCTokenReader(trusted(issuer), issuer_client(), clock)


WEAK_RSA = rsa.generate_private_key(65537, 1024)
GOOD_RSA = SigningKey("first", "RS256", RSA_KEY)
P384 = SigningKey("first", "ES384", ec.generate_private_key(ec.SECP384R1()))
OCT = {"kty": "oct", "kid": "first", "alg": "HS256", "k": "eHh4" * 11}

USELESS: dict[str, tuple[SigningKey | None, Callable[[SigningKey], list[Any]]]] = {
    "none at all": (None, lambda _key: []),
    "of HMAC": (None, lambda _key: [OCT]),
    "of HMAC under our algorithm": (None, lambda _key: [OCT | {"alg": "ES256"}]),
    "with alg none": (None, lambda key: [key.jwk(alg="none")]),
    "with alg HS256": (None, lambda key: [key.jwk(alg="HS256")]),
    "with an alg that is a list": (None, lambda key: [key.jwk(alg=["ES256"])]),
    "for encryption": (None, lambda key: [key.jwk(use="enc")]),
    "for signing only": (None, lambda key: [key.jwk(key_ops=["sign"])]),
    "with operations that are no list": (None, lambda key: [key.jwk(key_ops="verify")]),
    "with its private part": (None, lambda key: [key.jwk(d="AQAB")]),
    "without an id": (None, lambda key: [key.jwk(kid=None)]),
    "with a number as id": (None, lambda key: [key.jwk(kid=1)]),
    "of another id": (None, lambda key: [key.jwk(kid="FIRST")]),
    "twice under one id": (None, lambda key: [key.jwk(), SigningKey("first").jwk()]),
    "of no kind": (None, lambda key: [key.jwk(kty=None)]),
    "of a kind that is a list": (None, lambda key: [key.jwk(kty=["EC"])]),
    "of another kind": (None, lambda key: [key.jwk(kty="RSA")]),
    "with a point off the curve": (None, lambda key: [key.jwk(y=key.jwk()["x"])]),
    "with a coordinate that is a number": (None, lambda key: [key.jwk(x=7)]),
    "with a coordinate that is not base64": (None, lambda key: [key.jwk(x="\u2603" * 10)]),
    "with a coordinate of megabytes": (None, lambda key: [key.jwk(x="A" * 100_000)]),
    "on another curve": (P384, lambda key: [key.jwk(alg=None)]),
    "of RSA with 1024 bits": (SigningKey("first", "RS256", WEAK_RSA), lambda key: [key.jwk()]),
    "of RSA with 16384 bits": (GOOD_RSA, lambda key: [key.jwk(n="_" * 2730 + "8")]),
    "of RSA with the exponent 1": (GOOD_RSA, lambda key: [key.jwk(e="AQ")]),
    "of RSA with the exponent 0": (GOOD_RSA, lambda key: [key.jwk(e="AA")]),
    "that are no objects": (None, lambda _key: [None, 7, "key", [], True]),
}


@pytest.mark.parametrize(("key", "published"), USELESS.values(), ids=USELESS.keys())
async def test_keys_that_are_of_no_use_are_left_out(
    tokens: OIDCTokenReader,
    issuer: OpenIDIssuer,
    key: SigningKey | None,
    published: Callable[[SigningKey], list[Any]],
) -> None:
    """Case 37. A good key among them still works."""
    good = SigningKey("good")
    issuer.key = key or issuer.key
    token = _any_signature(issuer)
    issuer.published = [*published(issuer.key), good.jwk()]

    with pytest.raises(NotAuthenticated):
        await tokens.read(token)
    assert (await tokens.read(good.sign(issuer.claims()))).grants == {"manage-system-settings"}


def _any_signature(issuer: OpenIDIssuer) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return issuer.token()


async def test_without_a_key_id_nothing_is_tried_out(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    """Case 37."""
    issuer.key.key_id = None
    issuer.published = [issuer.key.jwk(), SigningKey("second").jwk()]

    with pytest.raises(NotAuthenticated):
        await tokens.read(issuer.token())


@pytest.fixture
def end_of_test() -> Iterator[threading.Event]:
    """Set when a lie need not be kept up any longer."""
    event = threading.Event()
    yield event
    event.set()


Say = Callable[[BaseHTTPRequestHandler, threading.Event], None]


def saying(body: bytes, status: int = 200, **headers: str) -> Say:
    return lambda handler, _end: answer(handler, body, status, **headers)


def endless_body(handler: BaseHTTPRequestHandler, end: threading.Event) -> None:
    """A hundred megabytes, if the client keeps reading."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        if not end.is_set():
            handler.wfile.write(b" " * 1024 * 1024)


def dripping(before: bytes) -> Say:
    """*before*, then a byte at a time for ever."""

    def drip(handler: BaseHTTPRequestHandler, end: threading.Event) -> None:
        handler.wfile.write(before)
        while not end.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return drip


def silent(_handler: BaseHTTPRequestHandler, end: threading.Event) -> None:
    end.wait()


def raw(text: bytes) -> Say:
    return lambda handler, _end: _write(handler, text)


def _write(handler: BaseHTTPRequestHandler, text: bytes) -> None:
    handler.wfile.write(text)


LIES: dict[str, Say] = {
    "not JSON": saying(b"<html>canary-1f7a</html>"),
    "not UTF-8": saying(b'{"keys": ["\xff\xfe"]}'),
    "a list": saying(b"[]"),
    "null": saying(b"null"),
    "nothing": saying(b""),
    "brackets": saying(b"[" * 100_000),
    "a number of 5000 digits": saying(b'{"keys":' + b"9" * 5000 + b"}"),
    "an object without the member": saying(b"{}"),
    "the member as an object": saying(b'{"keys": {}, "jwks_uri": {}}'),
    "too long": saying(b'{"keys": []}' + b" " * MAX_BODY_BYTES),
    "a hundred megabytes": endless_body,
    "more keys than an issuer has": saying(json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode()),
    "thousands of keys": saying(json.dumps({"keys": [{"kty": "EC"}] * 5000}).encode()),
    "an error": saying(b"{}", 500),
    "no content": saying(b"", 204),
    "a redirect to keys of another": saying(b"", 302, Location="/elsewhere"),
    "a redirect to a file": saying(b"", 301, Location="file:///etc/passwd"),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2 canary-1f7a\r\n"),
    "too many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}"),
    "a header of a megabyte": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n{}"),
    "a length that is not kept": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}"),
    "chunks that are none": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary-1f7a\r\n"),
    "silence": silent,
    "a slow greeting": dripping(b"HTTP/1.1 "),
    "slow headers": dripping(b"HTTP/1.1 200 OK\r\nX: "),
    "a slow body": dripping(b"HTTP/1.1 200 OK\r\n\r\n"),
}


@pytest.mark.parametrize(
    ("path", "say"),
    [pytest.param(KEYS, say, id=f"keys: {name}") for name, say in LIES.items()]
    + [pytest.param(DISCOVERY, say, id=f"discovery: {name}") for name, say in LIES.items() if "slow" not in name],
)
async def test_an_issuer_with_nonsense_counts_as_unavailable(
    tokens: OIDCTokenReader,
    issuer: OpenIDIssuer,
    end_of_test: threading.Event,
    caplog: pytest.LogCaptureFixture,
    path: str,
    say: Say,
) -> None:
    """Case 37: 503 with a cold cache, soon, and nothing of the answer in the log."""
    issuer.lies[path] = lambda handler: say(handler, end_of_test)

    async with asyncio.timeout(LONG_SECONDS):
        with pytest.raises(IdentityUnavailable):
            await tokens.read(issuer.token())

    assert "canary" not in caplog.text
    assert "/elsewhere" not in issuer.asked


@pytest.mark.parametrize("status", [201, 203, 301, 302, 307, 401, 404, 500, 503])
async def test_good_keys_under_another_status_than_200_are_none(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, status: int
) -> None:
    """Case 37."""
    keys = json.dumps({"keys": [issuer.key.jwk()]}).encode()
    issuer.lies[KEYS] = lambda handler: answer(handler, keys, status, Location=issuer.url + "/elsewhere")

    with pytest.raises(IdentityUnavailable):
        await tokens.read(issuer.token())

    assert "/elsewhere" not in issuer.asked


async def test_slow_lies_leave_nothing_running_and_hold_up_nothing(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock, end_of_test: threading.Event
) -> None:
    """Case 37."""
    issuer.lies[KEYS] = lambda handler: dripping(b"HTTP/1.1 200 OK\r\nX: ")(handler, end_of_test)
    before = asyncio.all_tasks()
    reading = asyncio.create_task(tokens.read(issuer.token()))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        turns += 1
    with pytest.raises(IdentityUnavailable):
        await reading
    assert asyncio.all_tasks() == before
    del issuer.lies[KEYS]

    assert turns > 10
    async with asyncio.timeout(LONG_SECONDS):
        while not await _reads(tokens, issuer):  # on a busy machine the issuer itself may be late
            clock.now += MIN_REFRESH_INTERVAL_SECONDS


async def _reads(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> bool:
    with suppress(IdentityUnavailable):
        return (await tokens.read(issuer.token())).grants == {"manage-system-settings"}
    return False


@pytest.mark.parametrize("say", [saying(b"not JSON"), saying(b"", 503), silent], ids=["lies", "503", "silence"])
async def test_a_lie_does_not_remove_the_known_keys(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock, end_of_test: threading.Event, say: Say
) -> None:
    """Case 37: a warm cache works."""
    await tokens.read(issuer.token())
    issuer.lies[KEYS] = lambda handler: say(handler, end_of_test)
    clock.now += 3600

    async with asyncio.timeout(LONG_SECONDS):
        assert (await tokens.read(issuer.token(jti="new"))).grants == {"manage-system-settings"}


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://elsewhere.example"},
        {"issuer": ""},
        {"jwks_uri": "http://elsewhere.example/keys"},
        {"jwks_uri": "http://127.1:PORT/keys"},
        {"jwks_uri": "http://2130706433:PORT/keys"},
        {"jwks_uri": "HTTP://127.1:PORT/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": "https://[::1"},
        {"jwks_uri": "https://127.0.0.1:port/"},
        {"jwks_uri": "https://user:canary@127.0.0.1/"},
        {"jwks_uri": "https:///keys"},
        {"jwks_uri": "https://127.0.0.1:1/a b\r\nX: y"},
        {"jwks_uri": "https://a..b.example/"},
        {"jwks_uri": "//127.0.0.1/keys"},
    ],
    ids=str,
)
async def test_an_issuer_that_describes_another_is_not_believed(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, described: dict[str, Any]
) -> None:
    """Case 37: no address in disguise either, though these lead to this very issuer."""
    port = issuer.url.rpartition(":")[2]
    issuer.described = {name: str(said).replace("PORT", port) for name, said in described.items()}

    with pytest.raises(IdentityUnavailable):
        await tokens.read(issuer.token())

    assert KEYS not in issuer.asked


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
async def test_a_remote_issuer_cannot_direct_requests_to_this_machine(
    tls_issuer: tuple[OpenIDIssuer, Path], issuer: OpenIDIssuer, scheme: str
) -> None:
    """Case 37."""
    elsewhere, ca_file = tls_issuer
    elsewhere.described = {"jwks_uri": f"{scheme}{issuer.url.removeprefix('http')}{KEYS}"}
    tokens = OIDCTokenReader(trusted(elsewhere), issuer_client(ca_file))

    with pytest.raises(IdentityUnavailable):
        await tokens.read(elsewhere.token())

    assert elsewhere.asked == [DISCOVERY]
    assert issuer.asked == []
