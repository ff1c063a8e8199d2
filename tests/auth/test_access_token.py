"""Each rule for access tokens on its own, without PyJWT, which checks some of them again."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from mailsettings.auth.access_token import (
    MAX_SHOWN_LENGTH,
    MAX_TIMESTAMP,
    MAX_TOKEN_LENGTH,
    bounded,
    claim_at,
    name_at,
    parse_unverified,
    reason_of,
    require_access_token,
    require_header,
    values_at,
)
from mailsettings.auth.jwks import DEFAULT_ALGORITHMS
from mailsettings.domain.errors import NotAuthenticated

HEADER: dict[str, Any] = {"alg": "ES256", "kid": "first", "typ": "at+jwt"}


def test_a_valid_header_names_its_key() -> None:
    assert require_header(HEADER, DEFAULT_ALGORITHMS) == ("first", "ES256")
    assert require_header({"alg": "RS256"}, DEFAULT_ALGORITHMS) == (None, "RS256")


@pytest.mark.parametrize(
    "change",
    [
        *({"alg": alg} for alg in (None, "none", "HS256", "ES512", ["ES256"], 7)),
        *({"kid": kid} for kid in (7, ["first"], {"first": 1})),
        *({"typ": typ} for typ in (None, 7, "", "dpop+jwt", ["at+jwt"])),
        *({"crit": crit} for crit in ([], ["exp"], None)),
        *({"b64": b64} for b64 in (True, False, None)),
    ],
    ids=str,
)
def test_any_wrong_header_field_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        require_header(HEADER | change, DEFAULT_ALGORITHMS)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_timestamps_lie_between_1970_and_9999(name: str) -> None:
    for moment in (0, 0.5, MAX_TIMESTAMP):
        require_access_token({}, {name: moment})
    others: tuple[object, ...] = (-1, MAX_TIMESTAMP + 1, True, "0", None, [], float("nan"), float("inf"))
    for other in others:
        with pytest.raises(NotAuthenticated):
            require_access_token({}, {name: other})


def test_a_name_has_1_to_255_printable_characters() -> None:
    for name in ("a", "a" * 255):
        assert name_at({"sub": name}, ["sub"]) == name
    for other in ("", "a" * 256, "a\n", 7, None, ["a"]):
        with pytest.raises(NotAuthenticated):
            name_at({"sub": other}, ["sub"])


def test_only_scope_claims_are_split_at_spaces() -> None:
    claims = {"scope": "a b", "scp": "a b", "roles": "a b", "in": {"scp": "c d"}, "list": ["a b", 7, "c"]}

    assert values_at(claims, ["scope"]) == values_at(claims, ["scp"]) == {"a", "b"}
    assert values_at(claims, ["roles"]) == {"a b"}
    assert values_at(claims, ["in", "scp"]) == {"c", "d"}
    assert values_at(claims, ["list"]) == {"a b", "c"}
    assert values_at(claims, ["in"]) == frozenset()
    assert claim_at(claims, ["in", "scp", "deeper"]) is None


def token_of(header: object, claims: object) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join([*parts, "signature"])


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (lambda: parse_unverified("a" * (MAX_TOKEN_LENGTH + 1)), "it is longer than 8192 characters"),
        (lambda: parse_unverified("a.b"), "it is not a JWT: it does not have three parts"),
        (lambda: parse_unverified("a.b.c"), "its header or its claims are not JSON"),
        (lambda: parse_unverified(token_of(HEADER, [])), "its header or its claims are not a JSON object"),
        (lambda: require_header({"alg": "none"}, DEFAULT_ALGORITHMS), "its algorithm (alg) is not accepted here"),
        (lambda: require_header({"alg": "ES256", "kid": 7}, DEFAULT_ALGORITHMS), "its key id (kid) is not a text"),
        (
            lambda: require_header({"alg": "ES256", "typ": "dpop+jwt"}, DEFAULT_ALGORITHMS),
            "its type (typ) is not that of an access",
        ),
        (lambda: require_access_token({}, {"typ": "ID"}), "its claim typ or token_use says that it is not"),
        (lambda: require_access_token({}, {"at_hash": "h"}), "it has the claim at_hash, which access tokens"),
        (lambda: require_access_token({}, {"nonce": "n"}), "it has the claim nonce, as ID tokens have"),
        (lambda: require_access_token({}, {"exp": "soon"}), "its claim exp is not a time"),
        (lambda: name_at({}, ["person", "id"]), "its claim person.id is missing, or cannot be a name"),
    ],
)
def test_the_operator_learns_why_a_token_was_refused(refuse: Callable[[], object], reason: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        refuse()

    assert refused.value.reason.startswith(reason)
    assert str(refused.value) == "The access token is not valid."


def test_each_rule_of_the_library_has_its_reason() -> None:
    reasons = {
        jwt.MissingRequiredClaimError("exp"): "it has no claim exp",
        jwt.InvalidAudienceError(): 'its audience (aud) is ["a", "b"], not accepted here',
        jwt.InvalidIssuerError(): "its issuer (iss) is not the issuer in the settings",
        jwt.InvalidSignatureError(): "its signature does not fit the key of its issuer",
        jwt.ImmatureSignatureError(): "it is not valid yet (nbf or iat); compare the clocks",
        jwt.DecodeError(): "its claims are malformed",
    }

    assert list(reasons.values()) == [reason_of(error, {"aud": ["a", "b"]}) for error in reasons]
    assert reason_of(jwt.InvalidAudienceError(), {}) == "its claims are malformed"


def test_a_shown_claim_is_short_and_has_no_control_characters() -> None:
    assert bounded("a\x1b[2J") == r'"a\u001b[2J"'
    assert len(bounded("a" * 10_000)) == MAX_SHOWN_LENGTH + 1
