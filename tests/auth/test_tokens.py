"""Access tokens: only tokens that this service issued are accepted."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.auth.access_token import MAX_TOKEN_LENGTH, MAX_VERIFIED_TOKENS
from mailsettings.auth.tokens import (
    AUDIENCE,
    MAX_AGE_SECONDS,
    MAX_OUTAGE_SECONDS,
    OwnTokenIssuer,
    OwnTokenReader,
    SigningKeys,
    load,
    make,
)
from mailsettings.domain.access import TokenClaims
from mailsettings.domain.errors import NotAuthenticated, StoreUnavailable

KEY_ID, PEM = make()
KEY = load(PEM)
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": "us", "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 60, "grants": ["all"]}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(content: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode(content, key, "ES256", {"kid": KEY_ID} | header)


async def one_key() -> list[tuple[str, str]]:
    return [(KEY_ID, PEM)]


def reader() -> OwnTokenReader:
    return OwnTokenReader(SigningKeys(one_key), "us")


def issuer() -> OwnTokenIssuer:
    return OwnTokenIssuer(SigningKeys(one_key), "us", [lambda grants: {"vendor": list(grants)}])


async def test_an_issued_token_names_subject_and_grants() -> None:
    token = await issuer().issue("alice", ["reading"], 60, "the stamp")

    read = await reader().read(token.text)
    decoded = jwt.decode(token.text, options={"verify_signature": False})

    assert (read.subject, read.grants, read.stamp) == ("alice", frozenset({"reading"}), "the stamp")
    assert read.expires_at == decoded["exp"]
    assert decoded["vendor"] == ["reading"]
    assert decoded["exp"] - decoded["iat"] == token.expires_in == 60
    assert token.text not in repr(token)


async def test_a_token_without_an_account_has_no_stamp() -> None:
    token = await issuer().issue("alice", ["reading"], 60)

    assert (await reader().read(token.text)).stamp is None


async def test_a_token_from_a_slightly_fast_clock_is_valid() -> None:
    token = signed(claims(iat=int(time.time()) + 30))

    assert (await reader().read(token)).subject == "alice"


def _unsigned(content: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT', 'kid': KEY_ID})}.{part(content)}."


def _hmac_with_our_public_key(content: dict[str, Any]) -> str:
    """PyJWT refuses to make this confusion, so it is made by hand."""

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    header = json.dumps({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}).encode()
    text = part(header) + b"." + part(json.dumps(content).encode())
    return (text + b"." + part(hmac.new(PUBLIC_PEM, text, hashlib.sha256).digest())).decode()


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "garbage": lambda: "a.b.c",
    "unsigned": lambda: _unsigned(claims()),
    "HMAC with the public key": lambda: _hmac_with_our_public_key(claims()),
    "another key": lambda: signed(claims(), ec.generate_private_key(ec.SECP256R1())),
    "another key by another name": lambda: signed(
        claims(), ec.generate_private_key(ec.SECP256R1()), kid="../../x"
    ),
    "no key's name": lambda: jwt.encode(claims(), KEY, "ES256"),
    "expired": lambda: signed(claims(exp=int(time.time()) - 1)),
    "no expiry": lambda: signed(claims(exp=None)),
    "no subject": lambda: signed(claims(sub=None)),
    "another audience": lambda: signed(claims(aud="others")),
    "another issuer": lambda: signed(claims(iss="them")),
    "not yet": lambda: signed(claims(nbf=int(time.time()) + 600)),
    "too long": lambda: signed(claims(filler="x" * MAX_TOKEN_LENGTH)),
}


@pytest.mark.parametrize("make_token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_no_other_token_is_accepted(make_token: Callable[[], str]) -> None:
    """Case 37, for our own tokens. Each token is made when it is used, so that none fails by expiry."""
    token = make_token()
    with pytest.raises(NotAuthenticated) as refused:
        await reader().read(token)

    assert refused.value.presented
    assert token not in str(refused.value) or token == ""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("garbage", "The access token is not valid."),
        ("no key's name", "The access token is not valid."),
        ("another key by another name", "The access token is not valid."),
        ("another issuer", "The access token is not valid."),
        ("expired", "The access token has expired."),
        ("too long", "The access token is too long."),
    ],
)
async def test_only_age_and_length_have_their_own_message(name: str, sentence: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await reader().read(BAD_TOKENS[name]())

    assert str(refused.value) == sentence


async def test_a_token_of_the_maximum_length_is_read() -> None:
    room = MAX_TOKEN_LENGTH - len(signed(claims(filler="")))
    tokens = [signed(claims(filler="x" * length)) for length in range(room * 3 // 4 - 4, room * 3 // 4 + 4)]
    [token] = [token for token in tokens if len(token) == MAX_TOKEN_LENGTH]

    assert (await reader().read(token)).subject == "alice"


async def test_a_valid_token_is_verified_once() -> None:
    us, token = reader(), signed(claims())

    assert await us.read(token) is await us.read(token)


async def test_a_token_without_grants_allows_nothing() -> None:
    assert (await reader().read(signed(claims(grants=None)))).grants == frozenset()


async def test_every_issued_token_is_unique() -> None:
    """RFC 9068: its type, its key, when it was asked for, and a number of its own."""
    first, second = [(await issuer().issue("alice", ["b", "a"], 60)).text for _ in range(2)]
    header = jwt.get_unverified_header(first)
    said, other = (jwt.decode(text, options={"verify_signature": False}) for text in (first, second))

    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}
    assert set(said) == {"iss", "aud", "sub", "iat", "auth_time", "exp", "jti", "grants", "vendor"}
    assert (said["iss"], said["aud"], said["sub"], said["grants"]) == ("us", AUDIENCE, "alice", ["a", "b"])
    assert said["auth_time"] == said["iat"]
    assert said["jti"] != other["jti"]


async def test_a_cached_token_is_refused_after_expiry() -> None:
    us = reader()
    token = (await issuer().issue("alice", ["all"], 1)).text
    await us.read(token)

    await asyncio.sleep(1.1)

    with pytest.raises(NotAuthenticated):
        await us.read(token)


async def test_a_dropped_key_ends_its_cached_tokens() -> None:
    keys, now = [(KEY_ID, PEM)], [1000.0]

    async def kept() -> list[tuple[str, str]]:
        return keys

    us = OwnTokenReader(SigningKeys(kept, lambda: now[0]), "us")
    token = (await issuer().issue("alice", ["all"], 60)).text
    await us.read(token)
    keys[:] = [make()]
    now[0] += MAX_AGE_SECONDS + 1

    with pytest.raises(NotAuthenticated):
        await us.read(token)


class Outage:
    """A reader that has read the keys and loses its store; and its time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.away = False
        self.reader = OwnTokenReader(SigningKeys(self._keys, lambda: self.now), "us")

    async def begin(self, seconds: float) -> None:
        """Read the keys, then let the outage last for *seconds*."""
        await self.reader.read(signed(claims(sub="earlier")))
        self.away, self.now = True, self.now + seconds

    async def _keys(self) -> list[tuple[str, str]]:
        if self.away:
            raise StoreUnavailable
        return [(KEY_ID, PEM)]


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.mark.parametrize("seconds", [MAX_AGE_SECONDS + 1, 3600, MAX_OUTAGE_SECONDS - 1])
async def test_tokens_without_an_account_outlast_an_outage(outage: Outage, seconds: float) -> None:
    token = signed(claims())
    await outage.reader.read(token)
    await outage.begin(seconds)

    assert (await outage.reader.read(token)).subject == "alice"
    assert (await outage.reader.read(signed(claims(sub="prometheus")))).subject == "prometheus"


async def test_tokens_of_accounts_wait_for_the_store(outage: Outage) -> None:
    token = signed(claims(stamp="of the account"))
    await outage.reader.read(token)
    await outage.begin(MAX_AGE_SECONDS + 1)

    for presented in (token, signed(claims(stamp="of another account"))):
        with pytest.raises(StoreUnavailable):
            await outage.reader.read(presented)


async def test_in_an_outage_other_tokens_are_still_refused(outage: Outage) -> None:
    await outage.begin(MAX_AGE_SECONDS + 1)

    with pytest.raises(NotAuthenticated):
        await outage.reader.read(signed(claims(), load(make()[1])))
    with pytest.raises(NotAuthenticated):
        await outage.reader.read(signed(claims(exp=int(time.time()) - 1)))
    with pytest.raises(StoreUnavailable):  # it may be a new key
        await outage.reader.read(signed(claims(), kid="unknown"))


async def test_the_last_keys_expire_after_a_day(outage: Outage) -> None:
    token = signed(claims())
    await outage.reader.read(token)
    await outage.begin(MAX_OUTAGE_SECONDS + 1)

    for presented in (token, signed(claims(sub="prometheus"))):
        with pytest.raises(StoreUnavailable):
            await outage.reader.read(presented)


async def test_the_cache_of_verified_tokens_is_fully_used() -> None:
    us = reader()
    first = TokenClaims("nobody", frozenset(), 0)
    us._verified.update({f"token {number}": ("", first) for number in range(MAX_VERIFIED_TOKENS - 1)})  # noqa: SLF001  # as below

    await us.read(signed(claims()))

    assert "token 0" in us._verified  # noqa: SLF001  # as below


async def test_the_cache_of_verified_tokens_is_bounded() -> None:
    us = reader()
    first = TokenClaims("nobody", frozenset(), 0)
    us._verified.update({f"token {number}": ("", first) for number in range(MAX_VERIFIED_TOKENS)})  # noqa: SLF001  # issuing a thousand real tokens takes a second

    await us.read((await issuer().issue("alice", ["all"], 60)).text)

    assert len(us._verified) == MAX_VERIFIED_TOKENS  # noqa: SLF001  # as above
    assert "token 0" not in us._verified  # noqa: SLF001  # as above; the oldest goes first
    assert "token 1" in us._verified  # noqa: SLF001  # as above
