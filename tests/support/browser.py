"""A real headless Chromium, told what to do over its DevTools socket. Knows nothing of the pages it opens."""

import http.client
import json
import os
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from support.external_programs import program
from support.timeouts import GUARD_SECONDS

DEADLINE_SECONDS = GUARD_SECONDS
_FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-proxy-server", "--remote-debugging-port=0"),
    "--window-size=1280,1000",
)
# Chromium's sandbox does not start for root, who is whom containers run tests as.
_ROOT_FLAGS = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


@contextmanager
def running_browser() -> Iterator["Browser"]:
    """One browser with a profile of its own, ended by its process id. Skip the test where Chromium is missing."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program("chromium"), *_FLAGS, *_ROOT_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
            try:
                with connect(_page_address(Path(profile)), proxy=None, max_size=None) as socket:
                    browser = Browser(socket)
                    yield browser
                    # Asked, it waits for its children, which otherwise still write to the profile.
                    browser.close()
                    process.wait(DEADLINE_SECONDS)
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for the tests of a module."""
    with running_browser() as started:
        yield started


class Browser:
    """One tab. `urls` are all it asked for since `navigate`, `complaints` what its console had to say."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last_id = 0
        self.urls: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._command(f"{domain}.enable")

    def navigate(self, url: str) -> None:
        """Open *url*, and forget what was before."""
        self._command("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.urls.clear()
        self.complaints.clear()
        self._command("Page.navigate", url=url)
        self.wait(f"location.href !== 'about:blank' && document.readyState === 'complete' /* {url} */")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, which has to be JSON. Raises `AssertionError`."""
        answer = self._command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """The value of *condition* once it is true. Raises `AssertionError` if it does not become so."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            value = self.evaluate(condition)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never came true: {condition}")

    def click(self, selector: str) -> None:
        """Click the first element that *selector* finds, once it is there."""
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector: str, text: str) -> None:
        """Type *text* into the field that *selector* finds, in place of what it holds."""
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self._command("Input.insertText", text=text)

    def screenshot(self, file: Path) -> None:
        """Write the whole page, not just what fits the window, as PNG."""
        shot = self._command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(b64decode(shot["data"]))

    def close(self) -> None:
        """Let the whole browser end."""
        self._command("Browser.close")

    def _command(self, method: str, **params: object) -> Any:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(DEADLINE_SECONDS))
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message}"
                return message["result"]
            self._keep(message["method"], message["params"])

    def _keep(self, event: str, params: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.urls.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(params["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert"}:
                self.complaints.append(str([arg.get("value") for arg in params["args"]]))
            # A violated Content-Security-Policy is such an entry, of the source "security".
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(params["entry"]["text"])


def _page_address(profile: Path) -> str:
    """The DevTools address of the tab that the browser starts with."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    port_file = profile / "DevToolsActivePort"
    while time.monotonic() < deadline:
        if port_file.exists() and (port := port_file.read_text().partition("\n")[0]):
            for target in _targets(int(port)):
                if target["type"] == "page":
                    return str(target["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError("the browser did not start")


def _targets(port: int) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", "/json/list")
        return json.load(connection.getresponse())
    finally:
        connection.close()
