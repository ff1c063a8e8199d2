"""The documentation page in a real browser: it shows every operation, and calls can be tried there."""

import json

import pytest
from sqlalchemy import select

from mailsettings.dialects.checkmarx import examples as checkmarx
from mailsettings.dialects.oracle_analytics import examples as oracle
from mailsettings.store.tables import mail_servers

from support.browser import Browser
from support.databases import LocalStore

OPERATIONS = {
    "POST /api/20210901/system/mail/server/actions/rollback",
    "POST /cxrestapi/auth/identity/connect/token",
    "GET /cxrestapi/auth/identity/.well-known/openid-configuration",
    "GET /cxrestapi/auth/identity/.well-known/openid-configuration/jwks",
    "GET /audit",
    "GET /metrics",
    "GET /api/20210901/system/mail/server",
    "PUT /api/20210901/system/mail/server",
    "DELETE /api/20210901/system/mail/server",
    "POST /api/20210901/system/mail/server/actions/test",
    "GET /cxrestapi/auth/SMTPSettings",
    "POST /cxrestapi/auth/SMTPSettings",
    "POST /cxrestapi/auth/SMTPSettings/testconnection",
    "GET /cxrestapi/auth/SMTPSettings/{id}",
    "PUT /cxrestapi/auth/SMTPSettings/{id}",
    "DELETE /cxrestapi/auth/SMTPSettings/{id}",
}
LIST_SETTINGS = '[id$="-listSmtpSettings"]'
CREATE_SETTINGS = '[id$="-createSmtpSettings"]'
TEST_CONNECTION = '[id$="-testSmtpConnection"]'
PUT_MAIL_SERVER = '[id$="-putMailServer"]'

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def page(browser: Browser, origin: str) -> Browser:
    """The page, with all its operations shown."""
    browser.navigate(f"{origin}/docs")
    browser.wait(f"document.querySelectorAll('.opblock').length === {len(OPERATIONS)}")
    return browser


def within(operation: str, selector: str) -> str:
    """*selector* inside one operation of the page."""
    return f":is({operation}) {selector}"


def log_in(page: Browser) -> None:
    page.click(".auth-wrapper .authorize")
    page.fill("#oauth_username", "admin")
    page.fill("#oauth_password", "correct horse")
    page.click(".modal-ux .authorize")
    page.wait("document.querySelector('.modal-ux .auth-container h6')?.innerText === 'Authorized'")
    page.click(".modal-ux .close-modal")


def open_operation(page: Browser, operation: str) -> None:
    page.click(within(operation, ".opblock-summary-control"))
    page.click(within(operation, ".try-out__btn"))


def execute(page: Browser, operation: str) -> str:
    """The status that the page shows after a press on Execute."""
    page.click(within(operation, ".execute"))
    shown = json.dumps(within(operation, ".live-responses-table .response-col_status"))
    return str(page.wait(f"document.querySelectorAll({shown})[1]?.innerText")).strip()


def choose_example(page: Browser, operation: str, name: str) -> object:
    """The body that stands in the editor after *name* was chosen."""
    select = json.dumps(within(operation, ".examples-select-element"))
    editor = json.dumps(within(operation, "textarea.body-param__text"))
    page.wait(f"document.querySelector({select}) !== null && document.querySelector({editor}) !== null")
    before = page.evaluate(f"document.querySelector({editor}).value")
    if name == page.evaluate(f"document.querySelector({select}).value"):
        return json.loads(before)
    page.evaluate(
        f"(e => {{ e.value = {json.dumps(name)}; e.dispatchEvent(new Event('change', {{bubbles: true}})); }})"
        f"(document.querySelector({select}))"
    )
    page.wait(f"document.querySelector({editor}).value !== {json.dumps(before)}")
    return json.loads(page.evaluate(f"document.querySelector({editor}).value"))


def test_the_page_shows_every_operation_of_every_api(page: Browser) -> None:
    shown = page.evaluate(
        "[...document.querySelectorAll('.opblock-summary')].map(e => "
        "e.querySelector('.opblock-summary-method').innerText + ' ' + "
        "e.querySelector('.opblock-summary-path').dataset.path)"
    )

    assert set(shown) == OPERATIONS


def test_calls_tried_after_a_login_on_the_page_succeed(
    page: Browser, origin: str, pages_store: LocalStore
) -> None:
    log_in(page)
    open_operation(page, LIST_SETTINGS)
    listed = execute(page, LIST_SETTINGS)
    open_operation(page, PUT_MAIL_SERVER)
    choose_example(page, PUT_MAIL_SERVER, "User name and password, STARTTLS")
    put = execute(page, PUT_MAIL_SERVER)
    stored = [row.host for row in pages_store.sql(select(mail_servers.c.host))]

    assert (listed, put) == ("200", "200")
    assert stored == ["mail-server.com"]
    assert all(url.startswith((origin, "data:")) for url in page.urls)
    assert page.complaints == []


@pytest.mark.parametrize(
    ("operation", "examples"),
    [
        pytest.param(PUT_MAIL_SERVER, oracle.MAIL_SERVERS, id="oracle"),
        pytest.param(CREATE_SETTINGS, checkmarx.SETTINGS, id="checkmarx-create"),
        pytest.param(TEST_CONNECTION, checkmarx.TESTS, id="checkmarx-test"),
    ],
)
def test_each_example_can_be_chosen(page: Browser, operation: str, examples: dict[str, dict[str, object]]) -> None:
    open_operation(page, operation)
    chosen = {name: choose_example(page, operation, name) for name in examples}

    assert {name: example["value"] for name, example in examples.items()} == chosen
