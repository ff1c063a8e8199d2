"""`mailsettings oidc check` explains a token claim by claim, and never prints the token."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mailsettings.cli import main

from support.openid_issuer import AUDIENCE, OpenIDIssuer, SigningKey
from support.processes import clean_environment

Findings = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, issuer: OpenIDIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that trusts the issuer; it needs no database."""
    chosen = clean_environment(
        tmp_path / "data",
        OIDC_ISSUER=issuer.url,
        OIDC_AUDIENCE=AUDIENCE,
        OIDC_PERMISSIONS="mail-admin=manage-system-settings",
    )
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)


def checked(token: str, code: int) -> Findings:
    ran = CliRunner().invoke(main, ["-o", "json", "oidc", "check", "-"], input=f"Bearer {token}\n")
    assert ran.exit_code == code, ran.output
    assert not [part for part in token.split(".") if len(part) > 7 and part in ran.output]
    return {found["check"]: found for found in json.loads(ran.stdout)}


def test_a_valid_token_is_explained_claim_by_claim(issuer: OpenIDIssuer) -> None:
    found = checked(issuer.token(), 0)

    assert list(found) == [
        "form",
        "iss",
        "header",
        "kind",
        "aud",
        "exp",
        "iat",
        "sub",
        "roles",
        "signature",
        "result",
    ]
    assert {each["state"] for each in found.values()} == {"ok"}
    assert found["roles"]["found"] == '["mail-admin"] gives manage-system-settings.'
    assert found["result"]["found"] == "The service accepts the token."


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        ({"aud": "account"}, "aud", '"account", no audience of this service.'),
        ({"aud": None}, "aud", "null, no audience of this service."),
        ({"exp": int(time.time()) - 3600}, "exp", "s ago."),
        ({"nbf": int(time.time()) + 3600}, "nbf", "s ahead."),
        ({"sub": None}, "sub", "Its claim sub is missing, or cannot be a name."),
        ({"at_hash": "x"}, "kind", "Its claim at_hash, which".replace("Its claim", "It has the claim")),
    ],
)
def test_each_fault_has_its_own_line(issuer: OpenIDIssuer, change: dict[str, Any], check: str, says: str) -> None:
    found = checked(issuer.token(**change), 1)

    assert says in found[check]["found"]
    assert {name for name, each in found.items() if each["state"] == "wrong"} == {check, "result"}


def test_settings_of_the_issuers_file_are_explained(
    issuer: OpenIDIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "issuers.toml"
    file.write_text(
        f"""
        [[issuer]]
        issuer = "{issuer.url}"
        token_issuers = ["{issuer.url}/trust"]
        clients = ["robot"]
        client_subject_claim = "client_id"
        id_token_claims = ["nonce"]
        permissions = [{{ claim = "roles", values.mail-admin = ["manage-system-settings"] }}]
        """
    )
    for name in ("ISSUER", "AUDIENCE", "PERMISSIONS"):
        monkeypatch.delenv(f"MAILSETTINGS_OIDC_{name}")
    monkeypatch.setenv("MAILSETTINGS_OIDC_ISSUERS_FILE", str(file))
    good = {"iss": f"{issuer.url}/trust", "aud": None, "sub": None, "client_id": "robot", "nonce": "n"}

    assert {each["state"] for each in checked(issuer.token(**good), 0).values()} == {"ok"}
    other = checked(issuer.token(**(good | {"client_id": "other", "aud": AUDIENCE})), 1)
    assert {name for name, each in other.items() if each["state"] == "wrong"} == {
        "aud",
        "required client_id",
        "result",
    }


def test_a_final_slash_of_the_issuer_is_named(issuer: OpenIDIssuer) -> None:
    found = checked(issuer.token(iss=f"{issuer.url}/"), 1)

    assert "by a final slash alone" in found["iss"]["found"]
    assert issuer.url in found["iss"]["advice"]


def test_a_role_without_a_permission_is_a_note(issuer: OpenIDIssuer) -> None:
    assert checked(issuer.token(roles=["cook"]), 0)["roles"]["state"] == "note"


def test_a_strange_signature_is_told_from_the_claims(issuer: OpenIDIssuer) -> None:
    found = checked(SigningKey("first").sign(issuer.claims()), 1)

    assert found["signature"]["found"] == "Its signature does not fit the key of its issuer."
    assert found["aud"]["state"] == "ok"


def test_an_issuer_that_is_away_is_named(issuer: OpenIDIssuer) -> None:
    token = issuer.token()
    issuer.go_away()
    try:
        assert "its issuer does not answer" in checked(token, 1)["signature"]["found"]
    finally:
        issuer.start()


def test_a_text_that_is_no_token_is_explained(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("opaque-and-secret\n")
    ran = CliRunner().invoke(main, ["oidc", "check", "--file", str(tmp_path / "token")])

    assert (ran.exit_code, ran.stdout) == (1, "wrong form        It is not a JWT: it does not have three parts.\n")


@pytest.mark.parametrize("arguments", [[], ["-", "--file", __file__]])
def test_a_token_is_given_in_one_way(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["oidc", "check", *arguments]).exit_code == 2
