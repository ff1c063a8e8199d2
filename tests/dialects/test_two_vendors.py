"""One stored setting seen through both vendors' APIs, and the vendors' words in refusals."""

import pytest
from sqlalchemy import update

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import CUSTOM_CERTIFICATE, NO_AUTH, OAUTH2, USERNAME_PASSWORD
from mailsettings.store.tables import mail_servers

from support.databases import LocalStore
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """A store that can change a row as an earlier program would have stored it."""
    return local_store


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
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    by_machine = STARTTLS | {"password": None, "useDefaultCredentials": True}
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=by_machine)
    ambient = (await api.send("GET", MAIL_SERVER)).json()
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=STARTTLS | {"password": ""})
    shown = await api.send("GET", MAIL_SERVER)
    put_back = await api.send("PUT", MAIL_SERVER, json=shown.json())

    assert ambient["auth"] == {"authType": "NO_AUTH"}
    assert shown.json()["sender"]["displayName"] == STARTTLS["fromAddress"]
    assert shown.json()["auth"]["password"] == "*" * 10
    assert put_back.status_code == 200


async def listed(api: Caller) -> dict[int, str]:
    return {view["id"]: view["host"] for view in (await api.send("GET", SMTP_SETTINGS)).json()}


async def test_no_api_replaces_or_removes_what_the_other_made(api: Caller) -> None:
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": "first.example.org"})
    before = (await api.send("GET", MAIL_SERVER)).status_code
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH | {"host": "second.example.org"})
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": "third.example.org"})
    shown = (await api.send("GET", MAIL_SERVER)).json()["host"]
    all_of_them = await listed(api)
    deleted = [(await api.send("DELETE", MAIL_SERVER)).status_code for _ in range(2)]

    assert before == 404
    assert shown == "second.example.org"
    assert all_of_them == {1: "first.example.org", 2: "second.example.org", 3: "third.example.org"}
    assert deleted == [200, 404]
    assert await listed(api) == {1: "first.example.org", 3: "third.example.org"}


async def test_the_default_is_not_deleted_through_the_other_api(api: Caller) -> None:
    """A 400, because the vendor documents 400 and 404 for DELETE, and its clients read the message of these."""
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    refused = await api.send("DELETE", f"{SMTP_SETTINGS}/1")

    assert (refused.status_code, set(refused.json())) == (400, {"message"})
    assert "default" in refused.json()["message"]
    assert (await api.send("GET", MAIL_SERVER)).status_code == 200


async def test_a_default_of_an_earlier_version_is_deleted_by_its_api(api: Caller, store: LocalStore) -> None:
    """That version made the first mail server the default, so a client of the other API never chose it."""
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS)
    store.sql(update(mail_servers).values(is_default=True))

    shown = (await api.send("GET", MAIL_SERVER)).json()["host"]
    deleted = await api.send("DELETE", f"{SMTP_SETTINGS}/1")

    assert shown == STARTTLS["host"]
    assert deleted.status_code == 204
    assert (await api.send("GET", MAIL_SERVER)).status_code == 404


async def test_a_disabled_default_is_shown_and_not_tested(api: Caller, store: LocalStore) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    store.sql(update(mail_servers).values(enabled=False))

    shown = await api.send("GET", MAIL_SERVER)
    tested = await api.send("POST", f"{MAIL_SERVER}/actions/test")

    assert shown.status_code == 200
    assert (tested.status_code, tested.json()["code"]) == (409, "IncorrectState")
    assert tested.json()["message"] == "This mail server is disabled. Enable it first."


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
