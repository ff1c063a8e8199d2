"""The TOML file of issuers: its meaning, and the sentences about a wrong file."""

from pathlib import Path

import pytest

from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.settings import IssuerSettings, SettingsInvalid, read, read_issuers

OWN = "mailsettings"
PERMISSIONS = 'permissions = [{ claim = "roles", values = { admin = ["view-mail-settings"] } }]\n'
STAFF = f'[[issuer]]\nissuer = "https://idp.example/staff"\naudience = ["us"]\n{PERMISSIONS}'
MACHINES = f'[[issuer]]\nissuer = "https://idp.example/machines"\naudience = ["us"]\n{PERMISSIONS}'
ENTRA = 'issuer = "https://login.example/{tenantid}/v2.0"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "issuers.toml"
    monkeypatch.setenv("MAILSETTINGS_OIDC_ISSUERS_FILE", str(path))
    return path


def issuers(file: Path, text: str) -> list[IssuerSettings]:
    file.write_text(text)
    return list(read_issuers(read(), OWN))


BEGINNING = "MAILSETTINGS_OIDC_ISSUERS_FILE is not valid: "


def problems(file: Path, text: str) -> list[str]:
    with pytest.raises(SettingsInvalid) as refused:
        issuers(file, text)
    sentences = str(refused.value).split("\n")
    assert all(sentence.startswith(BEGINNING) for sentence in sentences)
    assert "canary" not in str(refused.value)
    return [sentence.removeprefix(BEGINNING) for sentence in sentences]


def problem(file: Path, text: str) -> str:
    [only] = problems(file, text)
    return only


def test_a_file_names_several_issuers(file: Path) -> None:
    staff, machines = issuers(file, f'{STAFF}name = "staff"\n{MACHINES}name = "machines"\n')

    assert (staff.name, staff.accepted_issuers) == ("staff", ("https://idp.example/staff",))
    assert (machines.name, machines.accepted_issuers) == ("machines", ("https://idp.example/machines",))


def test_the_example_of_the_page_names_two_issuers(file: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "external-identity.md").read_text()
    example = page.partition("## Several issuers")[2].partition("```toml\n")[2].partition("```")[0]
    file.write_text(example)

    assert [reader.trusted.name for reader in create_foreign_tokens(read())] == ["staff", "machines"]


def test_each_setting_of_an_issuer_is_read(file: Path) -> None:
    [issuer] = issuers(
        file,
        """
        [[issuer]]
        issuer = "https://idp.example"
        name = "machines"
        clients = ["robot"]
        client_claim = "azp"
        subject_claim = "upn"
        client_subject_claim = "appid"
        token_issuers = ["http://idp.example/services/trust"]
        algorithms = ["ES384"]
        id_token_claims = ["nonce"]
        ca_file = "ca.pem"
        [issuer.required]
        "kubernetes\\\\.io.namespace" = ["mail"]
        "https://example.org/team" = ["mail"]
        [[issuer.permissions]]
        claim = ["https://example.org/app", "roles"]
        objects = true
        [issuer.permissions.values]
        admin = ["manage-system-settings", "view-audit-log"]
        """,
    )

    assert issuer.required == {("kubernetes.io", "namespace"): ("mail",), ("https://example.org/team",): ("mail",)}
    assert issuer.permissions[0].claim == ("https://example.org/app", "roles")
    assert issuer.permissions[0].values == {"admin": ("manage-system-settings", "view-audit-log")}
    assert (issuer.clients, issuer.client_claim, issuer.client_subject_claim) == (("robot",), ("azp",), ("appid",))
    assert issuer.accepted_issuers == ("http://idp.example/services/trust",)
    assert (issuer.algorithms, issuer.id_token_claims) == (("ES384",), ("nonce",))
    assert issuer.ca_file == file.parent / "ca.pem"


def test_each_tenant_is_an_issuer_of_its_own(file: Path) -> None:
    text = f'[[issuer]]\n{ENTRA}tenants = ["one", "two"]\naudience = ["us"]\n{PERMISSIONS}'
    one, two = issuers(file, text + 'token_issuers = ["https://sts.example/{tenantid}/"]')

    assert (one.issuer, two.issuer) == ("https://login.example/one/v2.0", "https://login.example/two/v2.0")
    assert (one.name, two.name) == ("login.example/one", "login.example/two")
    assert (one.token_issuers, two.token_issuers) == (
        ("https://sts.example/one/",),
        ("https://sts.example/two/",),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "issuer: it is required."),
        ("issuer = []", "issuer: it must not be empty."),
        ("issuer = [", "it is not a TOML file: Invalid value (at end of document)."),
        (f"{STAFF}audiences = 1", "issuer 1, audiences: it is not a setting of an issuer."),
        (f"{STAFF}{MACHINES}", "two issuers have the same name; set a different name for each."),
        (
            f'{STAFF}name = "Staff"\n{MACHINES}name = "staff"',
            "two issuers have the same name; set a different name for each.",
        ),
        (
            f'{STAFF}name = "a"\n{STAFF}name = "b"',
            "two issuers have the same value of iss, or one has that of this service.",
        ),
        (
            f'{STAFF}token_issuers = ["{OWN}"]',
            "two issuers have the same value of iss, or one has that of this service.",
        ),
        (STAFF.replace('audience = ["us"]', ""), "issuer 1: it needs an audience, or clients"),
        (STAFF.replace('["us"]', '"canary"'), "issuer 1, audience: it must be a list of texts."),
        (STAFF.replace('["us"]', '[""]'), "issuer 1, audience: it must be a list of texts."),
        (STAFF.replace("https:", "http:"), "issuer 1, issuer: it must be an https address"),
        (STAFF.replace("staff", "{tenant}"), "issuer 1, issuer: it must be an https address"),
        (STAFF.replace("staff", "{tenantid}"), "issuer 1: {tenantid} in the issuer and tenants go together"),
        (f'{STAFF}tenants = ["one"]', "issuer 1: {tenantid} in the issuer and tenants go together"),
        (f'{STAFF}token_issuers = ["{{tenantid}}"]', "issuer 1: {tenantid} in token_issuers needs tenants."),
        (
            STAFF.replace("staff", "{tenantid}") + 'tenants = ["common"]',
            "issuer 1: common, organizations and consumers stand for many tenants",
        ),
        (
            STAFF.replace("staff", "{tenantid}") + 'tenants = ["a/canary"]',
            "issuer 1, tenants 1: it must have letters",
        ),
        (f'{STAFF}name = "canary|x"', "issuer 1, name: it must have letters"),
        (f'{STAFF}name = "a/canary"', "issuer 1, name: "),
        (f'{STAFF}algorithms = ["HS256"]', "issuer 1, algorithms 1: "),
        (f'{STAFF}algorithms = ["none"]', "issuer 1, algorithms 1: "),
        (f"{STAFF}algorithms = []", "issuer 1, algorithms: it must not be empty."),
        (f'{STAFF}id_token_claims = ["c_hash"]', "issuer 1, id_token_claims 1: "),
        (f'{STAFF}subject_claim = "canary..a"', "issuer 1, subject_claim: it must be the name of a claim"),
        (f"{STAFF}subject_claim = []", "issuer 1, subject_claim: it must be the name of a claim"),
        (STAFF.replace('"roles"', '"[canary"'), "issuer 1, permissions 1, claim: it must be the name of a claim"),
        (STAFF.replace(PERMISSIONS, "permissions = []"), "issuer 1, permissions: it must not be empty."),
        (STAFF.replace(PERMISSIONS, "permissions = 1"), "issuer 1, permissions: it must be a list."),
        (STAFF.replace(PERMISSIONS, "permissions = [1]"), "issuer 1, permissions 1: it must be a table."),
        (f"{STAFF}required = 1", "issuer 1, required: it must be a table."),
        (f"{STAFF}name = 1", "issuer 1, name: it must be a text."),
    ],
)
def test_a_wrong_file_is_explained(file: Path, text: str, sentence: str) -> None:
    assert problem(file, text).startswith(sentence)


def test_a_file_with_several_mistakes_is_explained_at_once(file: Path) -> None:
    found = problems(file, f"{STAFF}name = 1\n{MACHINES}required = 1\n" + f"{STAFF}roles = 1\n" * 9)

    assert found[:3] == [
        "issuer 1, name: it must be a text.",
        "issuer 2, required: it must be a table.",
        "issuer 3, roles: it is not a setting of an issuer.",
    ]
    assert len(found) == 5


def test_a_missing_file_is_explained(file: Path) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read_issuers(read(), OWN)

    assert str(refused.value) == (
        "MAILSETTINGS_OIDC_ISSUERS_FILE is not valid: it is not a readable file: No such file or directory."
    )


def test_a_file_does_not_go_with_the_variables(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ISSUER": "https://idp.example", "AUDIENCE": "us", "PERMISSIONS": "a=b"}.items():
        monkeypatch.setenv(f"MAILSETTINGS_OIDC_{name}", value)

    assert "write that issuer into the file" in problem(file, STAFF)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("view-mail-settings", "canary"),
            "MAILSETTINGS_OIDC_ISSUERS_FILE has an unknown permission; use one of:",
        ),
        (
            ('audience = ["us"]', 'audience = ["us"]\nca_file = "canary.pem"'),
            "MAILSETTINGS_OIDC_ISSUERS_FILE: the ca_file of idp.example is not a readable file",
        ),
    ],
)
def test_a_wrong_permission_or_authority_is_explained(file: Path, change: tuple[str, str], sentence: str) -> None:
    file.write_text(STAFF.replace(*change))

    with pytest.raises(SettingsInvalid) as refused:
        create_foreign_tokens(read())

    assert str(refused.value).startswith(sentence)
    assert "canary" not in str(refused.value)
