"""The one mail server, as the vendor's page has it: every variant, every limit, and the mask."""

import copy
import json
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.certificates import authority_pem, key_pem
from support.service import MAIL_SERVER, Caller

CANARY = "canary-31d9c0aa"
MASK = "*" * 10
SCHEMA = json.loads(Path(__file__).with_name("seed_schema.json").read_text())
PEM = authority_pem()
# The example of the vendor's page, as it stands there.
VENDORS_EXAMPLE: dict[str, Any] = {
    "host": "mail-server.com",
    "port": 25,
    "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
    "auth": {"authType": "NO_AUTH"},
    "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
}
AUTHS: dict[str, dict[str, Any]] = {
    "NO_AUTH": {"authType": "NO_AUTH"},
    "USERNAME_PASSWORD_AUTH": {"authType": "USERNAME_PASSWORD_AUTH", "username": "u", "password": CANARY},
    "OAUTH2_AUTH": {
        "authType": "OAUTH2_AUTH",
        "oAuth2Details": {
            "oAuth2Provider": "MS_OAUTH2",
            "clientId": "client",
            "secret": CANARY,
            "tenant": "tenant.example",
            "username": "u",
        },
    },
}
CERTIFICATES: dict[str, dict[str, Any]] = {
    "default": {"certificateType": "DEFAULT_TLS_CERTIFICATE"},
    "custom": {"certificateType": "CUSTOM_TLS_CERTIFICATE", "certificate": PEM},
}
SECURITIES: dict[str, dict[str, Any]] = {
    "none": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
    **{
        f"{kind} {name}": {"connectionSecurityType": kind, "tlsCertificateDetails": details}
        for kind in ("SSL_TLS_CONNECTION_SECURITY", "START_TLS_CONNECTION_SECURITY")
        for name, details in CERTIFICATES.items()
    },
}


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


def server(auth: str = "USERNAME_PASSWORD_AUTH", security: str = "START_TLS_CONNECTION_SECURITY custom") -> Any:
    return copy.deepcopy(VENDORS_EXAMPLE | {"auth": AUTHS[auth], "connectionSecurity": SECURITIES[security]})


def changed(body: Any, path: str, value: Any) -> Any:
    """*body* with the member at *path* set, or taken away by `...`."""
    body = copy.deepcopy(body)
    *parents, last = path.split(".")
    place = body
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


def masked(body: Any) -> Any:
    text = json.dumps(body).replace(CANARY, MASK)
    return json.loads(text)


async def test_the_vendors_example_is_stored_and_returned_unchanged(api: Caller) -> None:
    nothing = await api.send("GET", MAIL_SERVER)
    stored = await api.send("PUT", MAIL_SERVER, json=VENDORS_EXAMPLE)
    shown = await api.send("GET", MAIL_SERVER)
    deleted = await api.send("DELETE", MAIL_SERVER)
    again = await api.send("DELETE", MAIL_SERVER)

    assert (nothing.status_code, nothing.json()["code"]) == (404, "NotFound")
    assert (stored.status_code, stored.content) == (200, b"")
    assert (shown.status_code, shown.json()) == (200, VENDORS_EXAMPLE)
    assert shown.headers["Content-Type"] == "application/json"
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert (again.status_code, again.json()["code"]) == (404, "NotFound")


@pytest.mark.parametrize(("auth", "security"), list(product(AUTHS, SECURITIES)))
async def test_every_variant_is_shown_masked_and_accepted_back(api: Caller, auth: str, security: str) -> None:
    stored = await api.send("PUT", MAIL_SERVER, json=server(auth, security))
    shown = await api.send("GET", MAIL_SERVER)
    put_back = await api.send("PUT", MAIL_SERVER, json=shown.json())
    shown_again = await api.send("GET", MAIL_SERVER)

    assert stored.status_code == put_back.status_code == 200
    assert shown.json() == shown_again.json() == masked(server(auth, security))
    assert CANARY not in shown.text
    jsonschema.validate(shown.json(), SCHEMA)


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "host": ("USERNAME_PASSWORD_AUTH", {"host": "mail-server.co"}),
    "port": ("USERNAME_PASSWORD_AUTH", {"port": 26}),
    "security": ("USERNAME_PASSWORD_AUTH", {"connectionSecurity": SECURITIES["none"]}),
    "security type": (
        "OAUTH2_AUTH",
        {"connectionSecurity.connectionSecurityType": "SSL_TLS_CONNECTION_SECURITY"},
    ),
    "certificate": (
        "USERNAME_PASSWORD_AUTH",
        {"connectionSecurity.tlsCertificateDetails.certificate": authority_pem()},
    ),
    "certificate type": (
        "USERNAME_PASSWORD_AUTH",
        {"connectionSecurity.tlsCertificateDetails": CERTIFICATES["default"]},
    ),
    "user name": ("USERNAME_PASSWORD_AUTH", {"auth.username": "v"}),
    "auth type": ("USERNAME_PASSWORD_AUTH", {"auth": masked(AUTHS["OAUTH2_AUTH"])}),
    "auth type back": ("OAUTH2_AUTH", {"auth": masked(AUTHS["USERNAME_PASSWORD_AUTH"])}),
    "oauth2 user name": ("OAUTH2_AUTH", {"auth.oAuth2Details.username": "v"}),
    "client id": ("OAUTH2_AUTH", {"auth.oAuth2Details.clientId": "other"}),
    "tenant": ("OAUTH2_AUTH", {"auth.oAuth2Details.tenant": "other.example"}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_the_mask_with_another_destination_is_refused(api: Caller, name: str) -> None:
    auth, changes = CHANGES[name]
    await api.send("PUT", MAIL_SERVER, json=server(auth))
    body = masked(server(auth))
    for path, value in changes.items():
        body = changed(body, path, value)

    refused = await api.send("PUT", MAIL_SERVER, json=body)

    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")
    field = "auth.oAuth2Details.secret" if "oAuth2Details" in body["auth"] else "auth.password"
    assert refused.json()["message"].startswith(f"{field} must be sent again")
    assert (await api.send("GET", MAIL_SERVER)).json() == masked(server(auth))


async def test_a_new_sender_does_not_need_the_secret_again(api: Caller, store: Any) -> None:
    await api.send("PUT", MAIL_SERVER, json=server())

    kept = await api.send("PUT", MAIL_SERVER, json=changed(masked(server()), "sender.displayName", "New"))

    async with store.reading() as view:
        secret = (await view.mail_servers.find_default()).server.secret
    assert kept.status_code == 200
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("auth", ["USERNAME_PASSWORD_AUTH", "OAUTH2_AUTH"])
async def test_the_mask_with_nothing_stored_is_refused(api: Caller, auth: str) -> None:
    refused = await api.send("PUT", MAIL_SERVER, json=masked(server(auth)))

    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")
    assert (await api.send("GET", MAIL_SERVER)).status_code == 404


@pytest.mark.parametrize("secret", ["*" * 8, "*" * 11, "•" * 10])
async def test_what_looks_like_a_mask_is_no_secret(api: Caller, secret: str) -> None:
    refused = await api.send("PUT", MAIL_SERVER, json=changed(server(), "auth.password", secret))

    assert (refused.status_code, refused.json()["message"].split()[0]) == (400, "auth.password")


PASSWORD, OAUTH2 = server(), server("OAUTH2_AUTH")
TAKEN: dict[str, tuple[Any, str, Any]] = {
    "shortest password": (PASSWORD, "auth.password", "12345678"),
    "longest password": (PASSWORD, "auth.password", "x" * 255),
    "shortest secret": (OAUTH2, "auth.oAuth2Details.secret", "12345678"),
    "longest secret": (OAUTH2, "auth.oAuth2Details.secret", "x" * 255),
    "lowest port": (PASSWORD, "port", 1),
    "highest port": (PASSWORD, "port", 65535),
    "shortest host": (PASSWORD, "host", "h"),
    "shortest name": (PASSWORD, "sender.displayName", "n"),
    "an address that is none": (PASSWORD, "sender.emailAddress", "a"),
    "longest client id": (OAUTH2, "auth.oAuth2Details.clientId", "c" * 255),
    "longest tenant": (OAUTH2, "auth.oAuth2Details.tenant", "t" * 255),
    "no provider": (OAUTH2, "auth.oAuth2Details.oAuth2Provider", ...),
    "no authType for OAuth2": (OAUTH2, "auth.authType", ...),
    "an unknown member": (PASSWORD, "somethingElse", [1]),
    "an unknown member of auth": (PASSWORD, "auth.somethingElse", None),
    "spaces around a password": (PASSWORD, "auth.password", "  ü'\"\\ 👍  "),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_what_the_schema_allows_is_taken(api: Caller, name: str) -> None:
    body, path, value = TAKEN[name]

    stored = await api.send("PUT", MAIL_SERVER, json=changed(body, path, value))

    assert stored.status_code == 200, stored.text
    jsonschema.validate((await api.send("GET", MAIL_SERVER)).json(), SCHEMA)


CERTIFICATE = "connectionSecurity.tlsCertificateDetails.certificate"
REQUIRED = {
    **dict.fromkeys(("auth", "connectionSecurity", "host", "port", "sender", "auth.authType"), PASSWORD),
    **dict.fromkeys(("sender.displayName", "sender.emailAddress", "auth.username", "auth.password"), PASSWORD),
    "connectionSecurity.connectionSecurityType": PASSWORD,
    "connectionSecurity.tlsCertificateDetails": PASSWORD,
    "connectionSecurity.tlsCertificateDetails.certificateType": PASSWORD,
    CERTIFICATE: PASSWORD,
    **{f"auth.oAuth2Details.{name}": OAUTH2 for name in ("clientId", "secret", "tenant", "username")},
}


@pytest.mark.parametrize("path", REQUIRED)
async def test_a_missing_member_is_named(api: Caller, path: str) -> None:
    refused = await api.send("PUT", MAIL_SERVER, json=changed(REQUIRED[path], path, ...))

    assert (refused.status_code, refused.json()) == (
        400,
        {"code": "MissingParameter", "message": f"{path} is missing."},
    )


REFUSED: dict[str, tuple[Any, str, Any]] = {
    "password too short": (PASSWORD, "auth.password", "1234567"),
    "password too long": (PASSWORD, "auth.password", "x" * 256),
    "secret too short": (OAUTH2, "auth.oAuth2Details.secret", "1234567"),
    "secret too long": (OAUTH2, "auth.oAuth2Details.secret", "x" * 256),
    "client id too long": (OAUTH2, "auth.oAuth2Details.clientId", "x" * 256),
    "tenant too long": (OAUTH2, "auth.oAuth2Details.tenant", "x" * 256),
    "tenant with a path": (OAUTH2, "auth.oAuth2Details.tenant", "a/../b"),
    "another provider": (OAUTH2, "auth.oAuth2Details.oAuth2Provider", "GOOGLE"),
    "an auth type of snapshots": (OAUTH2, "auth.authType", "OSS_AUTH_OCI_USER_ID"),
    "another auth type of snapshots": (OAUTH2, "auth.authType", "OCI_RESOURCE_PRINCIPAL"),
    "no auth type at all": (OAUTH2, "auth.authType", None),
    "port 0": (PASSWORD, "port", 0),
    "port 65536": (PASSWORD, "port", 65536),
    "a port in a string": (PASSWORD, "port", "25"),
    "a port with a fraction": (PASSWORD, "port", 25.5),
    "a port that is true": (PASSWORD, "port", True),
    "an empty host": (PASSWORD, "host", ""),
    "a loose address": (PASSWORD, "host", "127.1"),
    "an empty name": (PASSWORD, "sender.displayName", ""),
    "a name with a line": (PASSWORD, "sender.displayName", "a\r\nBcc: b@example.org"),
    "another security": (PASSWORD, "connectionSecurity.connectionSecurityType", "UNKNOWN_KIND"),
    "an empty certificate": (PASSWORD, CERTIFICATE, ""),
    "garbage for a certificate": (PASSWORD, CERTIFICATE, "garbage"),
    "a private key": (PASSWORD, CERTIFICATE, key_pem()),
    "a key beside a certificate": (PASSWORD, CERTIFICATE, PEM + key_pem()),
    "too many certificates": (PASSWORD, CERTIFICATE, PEM * 11),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_schema_violation_is_named_and_nothing_is_stored(api: Caller, name: str) -> None:
    body, path, value = REFUSED[name]
    await api.send("PUT", MAIL_SERVER, json=VENDORS_EXAMPLE)

    refused = await api.send("PUT", MAIL_SERVER, json=changed(body, path, value))

    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter"), refused.text
    assert path in refused.json()["message"]
    assert CANARY not in refused.text
    assert not isinstance(value, str) or len(value) < 3 or value not in refused.text
    assert (await api.send("GET", MAIL_SERVER)).json() == VENDORS_EXAMPLE


async def test_a_put_replaces_the_whole(api: Caller, store: Any) -> None:
    await api.send("PUT", MAIL_SERVER, json=server("OAUTH2_AUTH"))
    await api.send("PUT", MAIL_SERVER, json=VENDORS_EXAMPLE)

    async with store.reading() as view:
        stored = await view.mail_servers.find_default()
    assert (await api.send("GET", MAIL_SERVER)).json() == VENDORS_EXAMPLE
    assert stored.server.secret is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
    ids=str,
)
async def test_a_body_has_to_be_declared_as_json(api: Caller, headers: dict[str, str], status: int) -> None:
    answer = await api.send("PUT", MAIL_SERVER, content=json.dumps(PASSWORD).encode(), headers=headers)

    assert answer.status_code == status
    assert CANARY not in answer.text
