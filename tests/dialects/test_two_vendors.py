"""One stored setting seen through both vendors' APIs, and the vendors' words in refusals."""

import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import CUSTOM_CERTIFICATE, NO_AUTH, OAUTH2, USERNAME_PASSWORD

from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("GET", MAIL_SERVER, "bi-service-administrator"),
        ("GET", SMTP_SETTINGS, "manage-system-settings or view-mail-settings"),
        ("DELETE", f"{SMTP_SETTINGS}/1", "manage-system-settings"),
        ("GET", "/audit", "view-audit-log"),
        ("GET", "/metrics", "view-metrics"),
    ],
)
async def test_a_403_names_what_can_be_granted(api: Caller, method: str, path: str, names: str) -> None:
    answer = await api("stranger").send(method, path)

    assert (answer.status_code, answer.json()["message"]) == (403, f"This needs the permission {names}.")


SHAPES = {
    MAIL_SERVER: {"code", "message"},
    SMTP_SETTINGS: {"message"},
    TOKEN: {"error", "error_description"},
}


@pytest.mark.parametrize("path", SHAPES)
async def test_refusals_have_the_members_that_the_vendor_documents(api: Caller, path: str) -> None:
    answer = await api.send("TRACE", path)

    assert (answer.status_code, set(answer.json())) == (405, SHAPES[path])


async def test_server_stored_by_one_api_is_shown_by_other(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=USERNAME_PASSWORD)
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": "second.example.org"})
    shown = (await api.send("GET", MAIL_SERVER)).json()

    assert view == {
        "id": 1,
        "host": "mail-server.com",
        "port": 587,
        "encryptionType": "Tls",
        "fromAddress": "john.smith@myorg.com",
        "useDefaultCredentials": False,
        "username": "john.smith@myorg.com",
        "displayName": "John Smith",
    }
    assert shown["host"] == "mail-server.com"


async def test_listed_server_is_valid_for_the_single_server_api(api: Caller) -> None:
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"password": None, "useDefaultCredentials": True})
    ambient = (await api.send("GET", MAIL_SERVER)).json()
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=STARTTLS | {"password": ""})
    shown = await api.send("GET", MAIL_SERVER)
    put_back = await api.send("PUT", MAIL_SERVER, json=shown.json())

    assert ambient["auth"] == {"authType": "NO_AUTH"}
    assert shown.json()["sender"]["displayName"] == STARTTLS["fromAddress"]
    assert shown.json()["auth"]["password"] == "*" * 10
    assert put_back.status_code == 200


async def test_the_single_server_is_the_default_and_stays_it(api: Caller) -> None:
    for host in ("first.example.org", "second.example.org"):
        await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": host})
    shown = [(await api.send("GET", MAIL_SERVER)).json()["host"]]
    deleted = [(await api.send("DELETE", MAIL_SERVER)).status_code for _ in range(2)]
    left = [view["id"] for view in (await api.send("GET", SMTP_SETTINGS)).json()]
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    assert shown == ["first.example.org"]
    assert deleted == [200, 404]
    assert left == [2]
    assert [view["id"] for view in (await api.send("GET", SMTP_SETTINGS)).json()] == [2, 3]


async def test_what_one_api_cannot_say_it_leaves_alone(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=CUSTOM_CERTIFICATE)
    certificate = (await api.send("GET", MAIL_SERVER)).json()["connectionSecurity"]
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=view | {"port": 2465})
    await api.send("DELETE", MAIL_SERVER)
    await api.send("PUT", MAIL_SERVER, json=OAUTH2)
    refused = await api.send("PUT", f"{SMTP_SETTINGS}/2", json=STARTTLS | {"password": None})

    assert certificate["tlsCertificateDetails"]["certificateType"] == "CUSTOM_TLS_CERTIFICATE"
    assert refused.status_code == 400
    assert (await api.send("GET", MAIL_SERVER)).json()["auth"]["authType"] == "OAUTH2_AUTH"


async def test_certificate_survives_a_change_by_an_api_without_certificates(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=CUSTOM_CERTIFICATE)
    before = (await api.send("GET", MAIL_SERVER)).json()
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()

    replaced = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=view | {"port": 2465})

    assert replaced.status_code == 204
    assert (await api.send("GET", MAIL_SERVER)).json() == before | {"port": 2465}
