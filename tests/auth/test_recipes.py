"""The recipes of the page about external identity, each with tokens of the shape that its source describes.

The issuer of a recipe is moved to loopback; everything else is as on the page.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.domain.errors import NotAuthenticated
from mailsettings.settings import read

from support.openid_issuer import RSA_KEY, OpenIDIssuer, SigningKey

PAGE = (Path(__file__).parents[2] / "docs" / "external-identity.md").read_text()
RECIPES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
ALL, READING = frozenset({"manage-system-settings"}), frozenset({"view-mail-settings"})
NOTHING = frozenset[str]()
TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
COGNITO = {"token_use": "access", "version": 2, "client_id": "1example23456789", "auth_time": 1676312777}
ZITADEL = "urn:zitadel:iam:org:project:69234237810729019:roles"
GITHUB = {
    "aud": "https://mail-settings.example.org",
    "sub": "repo:example-org@65/mail@74:ref:refs/heads/main",
    "ref": "refs/heads/main",
    "repository": "example-org/mail",
    "repository_id": "74",
    "repository_owner": "example-org",
    "repository_owner_id": "65",
    "actor": "octocat",
}
POD = {
    "aud": ["mail-settings"],
    "sub": "system:serviceaccount:mail:deployer",
    "kubernetes.io": {
        "namespace": "mail",
        "pod": {"name": "deployer-1", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
        "serviceaccount": {"name": "deployer", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        "warnafter": 1729605247,
    },
}


class Shape(NamedTuple):
    """A token: its claims, its caller and permissions; None as the caller if it must be rejected."""

    recipe: str
    claims: Mapping[str, Any]
    caller: str | None
    permissions: frozenset[str] = NOTHING
    header: Mapping[str, Any] = {"typ": "JWT"}


def keycloak(**changes: Any) -> dict[str, Any]:
    access = {"resource_access": {"mail-settings": {"roles": ["mail-admin"]}}}
    who = {"typ": "Bearer", "azp": "frontend", "sub": "f81d4fae", "scope": "openid profile"}
    return (
        who
        | {"aud": ["mail-settings", "account"], "realm_access": {"roles": ["offline_access"]}}
        | access
        | changes
    )


def entra(**changes: Any) -> dict[str, Any]:
    who = {"aud": "00001111-aaaa-2222-bbbb-3333cccc4444", "azp": "11112222-bbbb-3333-cccc-4444dddd5555"}
    ids = {"sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "oid": "690222be", "tid": TENANT, "ver": "2.0"}
    return who | ids | {"iss": f"ISSUER/{TENANT}/v2.0", "nbf": 1537231048, "uti": "fqiBqXLPj0eQa82S"} | changes


def adfs(**changes: Any) -> dict[str, Any]:
    who = {"appid": "60b3d106", "apptype": "Confidential", "ver": "1.0", "scp": "profile openid"}
    issued = {"aud": "microsoft:identityserver:mail-settings", "auth_time": "2017-02-13T08:27:46.918Z"}
    return who | issued | {"iss": "http://adfs.example.org/adfs/services/trust"} | changes


def okta(**changes: Any) -> dict[str, Any]:
    who = {"ver": 1, "jti": "AT.MNAoEQ", "cid": "0oa1", "scp": ["openid", "profile"], "sub": "alice@example.org"}
    return who | {"aud": "mail-settings", "iss": "ISSUER/oauth2/default"} | changes


def auth0(**changes: Any) -> dict[str, Any]:
    audience = ["https://mail-settings.example.org", "https://example.eu.auth0.com/userinfo"]
    return {
        "iss": "ISSUER/",
        "aud": audience,
        "sub": "auth0|123456",
        "azp": "my_client_id",
        "scope": "x",
    } | changes


def authentik(**changes: Any) -> dict[str, Any]:
    who = {"iss": "ISSUER/application/o/mail-settings/", "aud": "5IzPwjVFsTSR1Vbg1wTmX8Bq", "sub": "9e2f"}
    login = {"auth_time": 1700000000, "acr": "goauthentik.io/providers/oauth2/default", "nonce": "n-0S6_WzA2Mj"}
    whole = who | login | {"azp": "5IzPwjVFsTSR1Vbg1wTmX8Bq", "uid": "Ci7x", "groups": ["mail-admins"]} | changes
    return {name: value for name, value in whole.items() if value is not None}


def dex(**changes: Any) -> dict[str, Any]:
    who = {"sub": "CgVhbGljZRIEbGRhcA", "aud": ["mail-settings", "cli"], "azp": "cli", "nonce": "n"}
    return who | {"at_hash": "fPlsvVszI29LU2UhDyJ9vg", "groups": ["example-org:auditors"]} | changes


SHAPES = [
    Shape("Keycloak", keycloak(), "127.0.0.1|f81d4fae", ALL),
    Shape("Keycloak", keycloak(nonce="n"), "127.0.0.1|f81d4fae", ALL),  # older releases
    Shape("Keycloak", keycloak(resource_access={"other": {"roles": ["mail-admin"]}}), "127.0.0.1|f81d4fae"),
    Shape("Keycloak", keycloak(aud="account"), None),
    Shape("Keycloak", keycloak(typ="ID", aud="mail-settings"), None),
    Shape("Keycloak", keycloak(typ="Refresh"), None),
    Shape("Microsoft Entra ID", entra(roles=["mail-admin"]), f"entra/{TENANT}|690222be", ALL),
    Shape(
        "Microsoft Entra ID",
        entra(groups=["bbbbcccc-1111-dddd-2222-eeee3333ffff"]),
        f"entra/{TENANT}|690222be",
        READING,
    ),
    Shape("Microsoft Entra ID", entra(idtyp="app", roles=["mail-admin"]), f"entra/{TENANT}|690222be", ALL),
    Shape(
        "Microsoft Entra ID", entra(hasgroups=True, _claim_names={"groups": "src1"}), f"entra/{TENANT}|690222be"
    ),
    Shape("Microsoft Entra ID", entra(iss=f"https://sts.windows.net/{TENANT}/", ver="1.0"), None),
    Shape("Microsoft Entra ID", entra(iss="ISSUER/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"), None),
    Shape("Microsoft Entra ID", entra(aud="00000003-0000-0000-c000-000000000000"), None),
    Shape(
        "AD FS", adfs(sub="alice", role="mail-admin"), "127.0.0.1|alice", ALL, {"typ": "JWT", "x5t": "jeeQjLUa"}
    ),
    Shape("AD FS", adfs(role=["auditor"]), "127.0.0.1|client|60b3d106", READING),
    Shape("AD FS", adfs(iss="ISSUER/adfs"), None),
    Shape("Okta", okta(uid="00u1", groups=["Everyone", "Mail Admins"]), "127.0.0.1|00u1", ALL, {}),
    Shape("Okta", okta(sub="0oa1", scp=["mail:read"]), "127.0.0.1|client|0oa1", READING, {}),
    Shape("Okta", okta(sub="0oa1", aud="https://example.okta.com"), None, header={}),
    Shape("Auth0", auth0(permissions=["manage:mail"]), "127.0.0.1|auth0|123456", ALL),
    Shape(
        "Auth0",
        auth0(sub="x@clients", gty="client-credentials", permissions=["manage:mail"]),
        "127.0.0.1|x@clients",
        ALL,
        {"typ": "at+jwt"},
    ),
    Shape("Auth0", auth0(**{"https://example.org/roles": ["auditor"]}), "127.0.0.1|auth0|123456", READING),
    Shape("Auth0", auth0(scope="openid manage:mail"), "127.0.0.1|auth0|123456"),
    Shape("Auth0", auth0(aud="https://example.eu.auth0.com/api/v2/"), None),
    Shape("authentik", authentik(), "127.0.0.1|9e2f", ALL),
    Shape("authentik", authentik(groups=["staff"]), "127.0.0.1|9e2f"),
    Shape("authentik", authentik(azp=None, uid=None), None),  # an ID token
    Shape("authentik", authentik(aud="another"), None),
    Shape("Dex", dex(), "127.0.0.1|CgVhbGljZRIEbGRhcA", READING, {}),
    Shape("Dex", dex(aud="cli"), None, header={}),
    Shape("Dex", dex(c_hash="fPlsvVszI29LU2UhDyJ9vg"), None, header={}),  # an ID token of the hybrid flow
    Shape(
        "ZITADEL",
        {"aud": ["69234237810729019"], "sub": "170", ZITADEL: {"mail-admin": {"69": "example.org"}}},
        "127.0.0.1|170",
        ALL,
    ),
    Shape("ZITADEL", {"aud": ["69234237810729019"], "sub": "170", ZITADEL: {"mail-admin": {}}}, "127.0.0.1|170"),
    Shape("ZITADEL", {"aud": ["69234237810729019"], "sub": "170"}, "127.0.0.1|170"),
    Shape("ZITADEL", {"aud": ["70"], "sub": "170", ZITADEL: {"mail-admin": {"69": "example.org"}}}, None),
    Shape(
        "Amazon Cognito",
        COGNITO | {"sub": "aaaa", "username": "alice", "cognito:groups": ["mail-admins"]},
        "127.0.0.1|aaaa",
        ALL,
        {},
    ),
    Shape(
        "Amazon Cognito",
        COGNITO | {"sub": "2example10111213", "client_id": "2example10111213", "scope": "mail-settings/read"},
        "127.0.0.1|2example10111213",
        READING,
        {},
    ),
    Shape("Amazon Cognito", COGNITO | {"sub": "aaaa", "client_id": "another"}, None, header={}),
    Shape(
        "Amazon Cognito", COGNITO | {"sub": "aaaa", "token_use": "id", "aud": "1example23456789"}, None, header={}
    ),
    Shape("Amazon Cognito", COGNITO | {"sub": "aaaa", "aud": "https://another-api.example"}, None, header={}),
    Shape("GitHub Actions", GITHUB, f"github|{GITHUB['sub']}", ALL),
    Shape("GitHub Actions", GITHUB | {"repository_id": "75"}, f"github|{GITHUB['sub']}"),
    Shape("GitHub Actions", GITHUB | {"repository_owner_id": "66"}, None),  # the name taken by another
    Shape("GitHub Actions", GITHUB | {"ref": "refs/pull/7/merge"}, None),
    Shape("GitHub Actions", GITHUB | {"aud": "https://github.com/example-org"}, None),
    Shape("Kubernetes service accounts", POD, "cluster|system:serviceaccount:mail:deployer", ALL, {}),
    Shape(
        "Kubernetes service accounts",
        POD | {"sub": "system:serviceaccount:monitoring:x", "kubernetes.io": {"namespace": "monitoring"}},
        "cluster|system:serviceaccount:monitoring:x",
        READING,
        {},
    ),
    Shape(
        "Kubernetes service accounts",
        POD | {"aud": ["https://kubernetes.default.svc.cluster.local"]},
        None,
        header={},
    ),
]
"""See the sources in the recipes."""


@pytest.fixture
def rsa_issuer(issuer: OpenIDIssuer) -> OpenIDIssuer:
    """Signs as all these products do by default."""
    issuer.key = SigningKey("first", "RS256", RSA_KEY)
    return issuer


def reader_of(recipe: str, issuer: OpenIDIssuer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> OIDCTokenReader:
    text = re.sub(r'^issuer = "https://[^/"]+', f'issuer = "{issuer.url}', RECIPES[recipe], flags=re.MULTILINE)
    (folder / "issuers.toml").write_text(text)
    monkeypatch.setenv("MAILSETTINGS_OIDC_ISSUERS_FILE", str(folder / "issuers.toml"))
    [reader] = create_foreign_tokens(read())
    issuer.described["issuer"] = reader.trusted.issuer
    return reader


@pytest.mark.parametrize("recipe", RECIPES)
async def test_a_recipe_fits_the_tokens_of_its_product(
    recipe: str, rsa_issuer: OpenIDIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(recipe, rsa_issuer, tmp_path, monkeypatch)
    shapes = [shape for shape in SHAPES if shape.recipe == recipe]

    found = [await outcome(reader, signed(rsa_issuer, reader, shape)) for shape in shapes]

    assert [(shape.caller, shape.permissions) for shape in shapes] == found
    assert NOBODY in found
    assert {bool(permissions) for _, permissions in found} == {True, False}


NOBODY = (None, NOTHING)


async def outcome(reader: OIDCTokenReader, token: str) -> tuple[str | None, frozenset[str]]:
    try:
        claims = await reader.read(token)
    except NotAuthenticated:
        return NOBODY
    return claims.subject, claims.grants


def signed(issuer: OpenIDIssuer, reader: OIDCTokenReader, shape: Shape) -> str:
    claims = {"iss": reader.trusted.issuer, "iat": int(time.time()), "exp": int(time.time()) + 600, **shape.claims}
    claims["iss"] = claims["iss"].replace("ISSUER", issuer.url)
    return issuer.key.sign(claims, **{"typ": None, **shape.header})


def test_each_recipe_has_dated_sources_and_says_whether_tried() -> None:
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)
    recipes = {section.partition("\n")[0]: section for section in sections if "```toml" in section}

    sourced = r"^Sources?, read 20\d\d-\d\d-\d\d: \[.*\. (Untried|Tried .*)\.$"

    for name in RECIPES:
        assert re.search(sourced, recipes[name], re.MULTILINE)
