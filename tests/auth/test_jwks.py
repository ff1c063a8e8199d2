"""Which keys of an issuer are accepted, at the very bounds, and the errors for other documents."""

import base64
from collections.abc import Collection
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.auth.jwks import ALGORITHMS, DEFAULT_ALGORITHMS, MAX_KEYS, KeysUnusable, parse_jwks

from support.openid_issuer import SigningKey


def rsa_of(bits: int) -> dict[str, Any]:
    """A public key with a modulus of exactly so many bits, and no private half."""
    modulus = (1 << bits - 1) + 1
    encoded = base64.urlsafe_b64encode(modulus.to_bytes((bits + 7) // 8, "big")).rstrip(b"=").decode()
    return {"kty": "RSA", "kid": str(bits), "n": encoded, "e": "AQAB"}


def test_an_rsa_key_has_a_minimum_and_maximum_length() -> None:
    document = {"keys": [rsa_of(bits) | {"alg": "RS256"} for bits in (2047, 2048, 8192, 8193)]}

    assert [key.key_id for key in parse_jwks(document).keys] == ["2048", "8192"]


def test_an_issuer_may_have_at_most_100_keys() -> None:
    keys = [SigningKey("one").jwk()] * MAX_KEYS

    assert len(parse_jwks({"keys": keys}).keys) == MAX_KEYS
    with pytest.raises(KeysUnusable) as refused:
        parse_jwks({"keys": [*keys, {}]})
    assert str(refused.value) == "it has more than 100 keys"


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": None}], ids=["nothing", "an object", "null"])
def test_an_invalid_key_set_is_reported(document: dict[str, Any]) -> None:
    with pytest.raises(KeysUnusable) as refused:
        parse_jwks(document)

    assert str(refused.value) == "its keys are not a JSON Web Key Set"


def test_a_key_verifies_only_its_own_algorithms() -> None:
    jwk = SigningKey("one").jwk(alg=None)
    rsa = rsa_of(2048)

    assert algorithms(rsa) == ["RS256", "PS256"]
    assert algorithms(rsa | {"alg": "PS256"}) == ["PS256"]
    assert algorithms(jwk) == ["ES256"]
    assert algorithms(rsa | {"alg": "ES256"}, jwk | {"alg": "RS256"}) == []


def test_a_curve_belongs_to_one_algorithm() -> None:
    """RFC 7518 3.4."""
    private = [ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)]
    jwks = [SigningKey("one", key=key).jwk(alg=None) for key in private]

    assert [algorithms(jwk, allowed=ALGORITHMS) for jwk in jwks] == [["ES256"], ["ES384"], ["ES512"]]
    assert algorithms(jwks[1] | {"alg": "ES256"}, jwks[0] | {"alg": "ES384"}, allowed=ALGORITHMS) == []
    assert algorithms(rsa_of(2048), allowed={"PS512", "ES256"}) == ["PS512"]


def test_a_key_that_names_its_issuer_counts_for_it_only() -> None:
    """As Microsoft marks its keys; all others name none."""
    issuers = ["https://login.example/one/v2.0"]
    named = {
        None: True,
        "https://login.example/one/v2.0": True,
        "https://login.example/{tenantid}/v2.0": True,
        "https://login.example/two/v2.0": False,
        "https://elsewhere.example/{tenantid}/v2.0": False,
        "https://login.example/{tenantid}": False,
        "{tenantid}": False,
        "": False,
    }
    jwk = SigningKey("one").jwk()
    found = {issuer: parse_jwks({"keys": [jwk | {"issuer": issuer}]}, issuers=issuers).keys for issuer in named}

    assert {issuer: bool(keys) for issuer, keys in found.items()} == named


def algorithms(*keys: dict[str, Any], allowed: Collection[str] = DEFAULT_ALGORITHMS) -> list[str | None]:
    return [key.algorithm_name for key in parse_jwks({"keys": list(keys)}, allowed).keys]
