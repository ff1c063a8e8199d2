"""Each rule for access tokens on its own, without PyJWT, which checks some of them again."""

from typing import Any

import pytest

from mailsettings.auth.access_token import (
    MAX_TIMESTAMP,
    claim_at,
    name_at,
    require_access_token,
    require_header,
    values_at,
)
from mailsettings.domain.errors import NotAuthenticated

HEADER: dict[str, Any] = {"alg": "ES256", "kid": "first", "typ": "at+jwt"}


def test_a_valid_header_names_its_key() -> None:
    assert require_header(HEADER) == ("first", "ES256")
    assert require_header({"alg": "RS256"}) == (None, "RS256")


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
        require_header(HEADER | change)


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
