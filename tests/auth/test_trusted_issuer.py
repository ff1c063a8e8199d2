"""Which callers and permissions the claims of a verified token stand for, rule by rule."""

from typing import Any

import pytest

from mailsettings.auth.trusted_issuer import ClaimGrants, TrustedIssuer
from mailsettings.domain.errors import NotAuthenticated

ALL, READING = frozenset({"all"}), frozenset({"reading"})
GRANTS = {"admin": ALL, "auditor": READING}
ROLES = "urn:zitadel:iam:org:project:roles"


def trusted(**changes: Any) -> TrustedIssuer:
    return TrustedIssuer(**({"issuer": "https://idp.example", "audiences": ("us",)} | changes))


def granted(claims: dict[str, Any], *permissions: ClaimGrants) -> frozenset[str]:
    return trusted(permissions=permissions).grants_of(claims)


def test_several_claims_give_permissions_together() -> None:
    both = ClaimGrants(("roles",), {"admin": ALL}), ClaimGrants(("scope",), {"mail.read": READING})

    assert granted({"roles": ["admin"], "scope": "openid mail.read"}, *both) == ALL | READING
    assert granted({"scope": "openid mail.read"}, *both) == READING
    assert granted({"roles": ["admin"]}, *both) == ALL


def test_a_value_in_another_claim_gives_nothing() -> None:
    """A client may ask for any scope, also for one with the name of a role."""
    both = ClaimGrants(("roles",), {"admin": ALL}), ClaimGrants(("scope",), {"mail.read": READING})

    assert granted({"roles": ["mail.read"], "scope": "admin"}, *both) == frozenset()


def test_the_members_of_an_object_count_if_set() -> None:
    claims = {ROLES: {"admin": {"69234237810729019": "example.org"}}}

    assert granted(claims, ClaimGrants((ROLES,), GRANTS, of_objects=True)) == ALL
    assert granted(claims, ClaimGrants((ROLES,), GRANTS)) == frozenset()


@pytest.mark.parametrize("value", [False, True, None, "", "x", 0, 1, [], ["x"], {}], ids=repr)
def test_only_objects_with_members_make_a_member_count(value: object) -> None:
    assert granted({"roles": {"admin": value}}, ClaimGrants(("roles",), GRANTS, of_objects=True)) == frozenset()


def test_lists_still_count_where_objects_do() -> None:
    assert granted({"roles": ["auditor"]}, ClaimGrants(("roles",), GRANTS, of_objects=True)) == READING


def test_a_claim_named_by_a_url_may_hold_an_object() -> None:
    path = ("https://example.org/app", "roles")

    assert granted({"https://example.org/app": {"roles": ["admin"]}}, ClaimGrants(path, GRANTS)) == ALL


def test_a_caller_is_named_after_its_issuer() -> None:
    assert trusted().caller_of({"sub": "alice"}) == "idp.example|alice"
    assert trusted(name="staff").caller_of({"sub": "alice"}) == "staff|alice"


def test_a_client_is_named_by_a_claim_of_its_own() -> None:
    issuer = trusted(client_subject_claim=("appid",))

    assert issuer.caller_of({"appid": "robot"}) == "idp.example|client|robot"
    assert issuer.caller_of({"sub": "alice", "appid": "robot"}) == "idp.example|alice"


@pytest.mark.parametrize("claims", [{}, {"appid": ""}, {"appid": 7}, {"sub": "", "appid": "robot"}], ids=repr)
def test_a_token_that_names_no_caller_is_rejected(claims: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        trusted(client_subject_claim=("appid",)).caller_of(claims)


def test_a_person_cannot_have_the_name_of_a_client() -> None:
    with pytest.raises(NotAuthenticated):
        trusted(client_subject_claim=("appid",)).caller_of({"sub": "client|robot"})
    assert trusted().caller_of({"sub": "auth0|5f7c8ec7"}) == "idp.example|auth0|5f7c8ec7"


def test_each_required_claim_must_have_one_of_its_values() -> None:
    required = (
        (("client_id",), frozenset({"web", "robot"})),
        (("kubernetes.io", "namespace"), frozenset({"mail"})),
    )
    issuer = trusted(required=required)
    good: dict[str, Any] = {"client_id": "robot", "kubernetes.io": {"namespace": "mail"}}

    issuer.require_meant(good)
    others: list[dict[str, Any]] = [
        {},
        good | {"client_id": "other"},
        good | {"client_id": "web robot"},
        good | {"client_id": None},
        good | {"client_id": {"robot": True}},
        good | {"kubernetes.io": {"namespace": "mail2"}},
        good | {"kubernetes.io": "mail"},
    ]
    for claims in others:
        with pytest.raises(NotAuthenticated):
            issuer.require_meant(claims)


@pytest.mark.parametrize("audience", ["us", ["us"], [], None, ""], ids=repr)
def test_without_audiences_a_token_must_name_none(audience: object) -> None:
    issuer = trusted(audiences=())

    issuer.require_meant({"client_id": "robot"})
    with pytest.raises(NotAuthenticated):
        issuer.require_meant({"aud": audience})
