"""The documentation page loads in a real browser, where Chromium is installed; `tests/real` uses the page."""

from urllib.parse import urlsplit

from support.browser import Browser


def test_the_page_loads_from_this_server_alone_without_errors(browser: Browser, origin: str) -> None:
    browser.navigate(f"{origin}/docs")
    browser.wait("document.querySelectorAll('.opblock').length > 0")
    loaded = {url for url in browser.urls if not url.startswith("data:")}

    assert {urlsplit(origin).netloc} == {urlsplit(url).netloc for url in loaded}
    assert f"{origin}/openapi.json" in loaded
    assert browser.complaints == []
