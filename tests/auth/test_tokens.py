"""Access tokens: what we issue opens, and nothing else does."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.auth.tokens import AUDIENCE, LONGEST_TOKEN, VERIFIED_TOKENS_KEPT, TokenIssuer, TokenVerifier
from mailsettings.domain.access import Permission
from mailsettings.domain.errors import NotAuthenticated

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
GRANTS = {"all": frozenset(Permission), "reading": frozenset({Permission.MAIL_SERVERS_READ})}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": "us", "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 60, "grants": ["all"]}
    return {name: value for name, value in (good | changes).items() if value is not None}


def verifier() -> TokenVerifier:
    return TokenVerifier(KEY.public_key(), "us", GRANTS)


async def test_an_issued_token_says_who_and_what() -> None:
    token = TokenIssuer(KEY, "us", [lambda grants: {"vendor": list(grants)}]).issue("alice", ["reading"], 60)

    principal = await verifier().verify(token.text)
    decoded = jwt.decode(token.text, options={"verify_signature": False})

    assert ("alice", GRANTS["reading"]) == (principal.name, principal.permissions)
    assert decoded["vendor"] == ["reading"]
    assert decoded["exp"] - decoded["iat"] == token.expires_in == 60
    assert token.text not in repr(token)


async def test_a_grant_that_nobody_knows_allows_nothing() -> None:
    token = TokenIssuer(KEY, "us", []).issue("alice", ["all-powerful"], 60)

    assert frozenset() == (await verifier().verify(token.text)).permissions


async def test_a_token_of_a_replica_whose_clock_is_ahead_is_good() -> None:
    token = jwt.encode(claims(iat=int(time.time()) + 30), KEY, "ES256")

    assert (await verifier().verify(token)).name == "alice"


def _unsigned(content: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(content)}."


def _hmac_with_our_public_key(content: dict[str, Any]) -> str:
    """PyJWT refuses to make this confusion, so it is made by hand."""

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(content).encode())
    return (signed + b"." + part(hmac.new(PUBLIC_PEM, signed, hashlib.sha256).digest())).decode()


BAD_TOKENS = {
    "empty": "",
    "garbage": "a.b.c",
    "unsigned": _unsigned(claims()),
    "HMAC with the public key": _hmac_with_our_public_key(claims()),
    "another key": jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "expired": jwt.encode(claims(exp=int(time.time()) - 1), KEY, "ES256"),
    "no expiry": jwt.encode(claims(exp=None), KEY, "ES256"),
    "no subject": jwt.encode(claims(sub=None), KEY, "ES256"),
    "another audience": jwt.encode(claims(aud="others"), KEY, "ES256"),
    "another issuer": jwt.encode(claims(iss="them"), KEY, "ES256"),
    "not yet": jwt.encode(claims(nbf=int(time.time()) + 600), KEY, "ES256"),
    "too long": jwt.encode(claims(filler="x" * LONGEST_TOKEN), KEY, "ES256"),
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_no_other_token_opens(token: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await verifier().verify(token)

    assert refused.value.presented
    assert token not in str(refused.value) or token == ""


async def test_a_token_that_was_good_is_refused_once_it_has_expired() -> None:
    reader = verifier()
    token = TokenIssuer(KEY, "us", []).issue("alice", ["all"], 1).text
    await reader.verify(token)

    await asyncio.sleep(1.1)

    with pytest.raises(NotAuthenticated):
        await reader.verify(token)


async def test_the_memory_of_verified_tokens_is_bounded() -> None:
    reader, issuer = verifier(), TokenIssuer(KEY, "us", [])
    reader._verified.update({f"token {number}": (None, 0) for number in range(VERIFIED_TOKENS_KEPT)})  # type: ignore[misc]  # noqa: SLF001  # making a thousand real ones takes a second

    await reader.verify(issuer.issue("alice", ["all"], 60).text)

    assert len(reader._verified) == VERIFIED_TOKENS_KEPT  # noqa: SLF001
