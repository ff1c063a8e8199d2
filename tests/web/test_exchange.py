"""Each request has one line of JSON in the log, and its id in the response and in every log line."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from mailsettings import logs
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.mail_server import MailServer
from mailsettings.web.exchange import ExchangeMiddleware, log_exchange

from support.canary import Canary
from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx_test
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, Caller, client_of

VENDORS, OURS = "opc-request-id", "x-request-id"


class Written:
    """The log of this test, in both formats."""

    def __init__(self) -> None:
        self._streams = {"json": io.StringIO(), "text": io.StringIO()}
        self.handlers = [logs.handler(style, self._streams[style]) for style in ("json", "text")]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._streams["json"].getvalue().splitlines()]

    @property
    def text(self) -> list[str]:
        return self._streams["text"].getvalue().splitlines()

    @property
    def accesses(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["logger"] == "mailsettings.access"]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[Written]:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.WARNING, "httpx")  # which is the client here
    log, root = Written(), logging.getLogger()
    for handler in log.handlers:
        root.addHandler(handler)
    yield log
    for handler in log.handlers:
        root.removeHandler(handler)


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """These tests do not depend on the kind of database."""
    return local_store


async def test_a_request_is_one_line_with_separate_members(api: Caller, written: Written) -> None:
    await api("reader").send("GET", f"{SMTP_SETTINGS}/7?canary=1", headers={OURS: "mine-1", "Cookie": "canary"})

    (line,) = written.accesses
    assert line["duration_ms"] >= 0
    assert {name: line[name] for name in line if name not in {"time", "duration_ms", "message"}} == {
        "level": "INFO",
        "logger": "mailsettings.access",
        "method": "GET",
        "path": f"{SMTP_SETTINGS}/7",
        "route": f"{SMTP_SETTINGS}/{{id}}",
        "status": 404,
        "api": "checkmarx",
        "principal": "reader",
        "client": "127.0.0.1",
        "request_id": "mine-1",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert "canary" not in json.dumps(written.lines) + "".join(written.text)


@pytest.mark.parametrize(
    ("path", "api_name"),
    [(MAIL_SERVER, "oracle-analytics"), ("/audit", "audit"), ("/docs", "site"), ("/no%0Apath", "site")],
)
async def test_a_line_names_the_api_and_no_unknown_caller(
    api: Caller, written: Written, path: str, api_name: str
) -> None:
    await api(None).send("GET", path)

    (line,) = written.accesses
    assert (line["api"], line["path"], line["principal"]) == (api_name, path, None)
    assert len(written.text) == len(written.lines)


@pytest.mark.parametrize("path", [MAIL_SERVER, "/api/20210901/nothing"])
@pytest.mark.parametrize("caller", ["admin", None])
async def test_the_vendors_request_id_works_under_both_names(
    api: Caller, written: Written, path: str, caller: str | None
) -> None:
    given = await api(caller).send("GET", path, headers={VENDORS: "ABC-1", OURS: "other"})
    ours_only = await api(caller).send("GET", path, headers={OURS: "other"})
    made = await api(caller).send("GET", path, headers={VENDORS: "not plain"})

    assert (given.headers[VENDORS], given.headers[OURS]) == ("ABC-1", "ABC-1")
    assert (ours_only.headers[VENDORS], ours_only.headers[OURS]) == ("other", "other")
    assert made.headers[VENDORS] == made.headers[OURS]
    assert len(made.headers[OURS]) == 32
    assert [line["request_id"] for line in written.accesses] == ["ABC-1", "other", made.headers[OURS]]


async def test_a_vendors_header_has_no_effect_in_other_apis(api: Caller) -> None:
    for path in (SMTP_SETTINGS, "/audit", "/health/live"):
        answer = await api.send("GET", path, headers={VENDORS: "ABC-1"})

        assert VENDORS not in answer.headers
        assert answer.headers[OURS] != "ABC-1"


class TalkativeProber(ScriptedProber):
    """As a library that we know nothing of."""

    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        logging.getLogger("some.library").warning("I have something to say.")
        return await super().probe(server, recipient)


async def test_whatever_is_written_during_a_request_carries_its_id(store: LocalStore, written: Written) -> None:
    async with client_of(store, TalkativeProber()) as api:
        await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=checkmarx_test("p"), headers={OURS: "a-1"})
        await api("stranger").send("POST", f"{SMTP_SETTINGS}/testconnection", headers={OURS: "a-2"})

    assert [(line["logger"], line["request_id"]) for line in written.lines] == [
        ("mailsettings.audit", "a-1"),
        ("some.library", "a-1"),
        ("mailsettings.audit", "a-1"),
        ("mailsettings.access", "a-1"),
        ("mailsettings.audit", "a-2"),
        ("mailsettings.access", "a-2"),
    ]
    assert [line.rpartition(" ")[2] for line in written.text] == ["[a-1]"] * 4 + ["[a-2]"] * 2


async def test_the_server_logs_an_error_under_the_requests_id(written: Written) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    transport = httpx.ASGITransport(ExchangeMiddleware(fail, "site", [log_exchange]), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        with pytest.raises(RuntimeError):
            await http.get("/", headers={OURS: "a-3"})
        logging.getLogger("uvicorn.error").error("Exception in ASGI application")  # in the request's own task

    assert [(line["request_id"], line.get("status")) for line in written.lines] == [("a-3", 0), ("a-3", None)]


async def test_outside_of_a_request_there_is_none(written: Written) -> None:
    logs.request_id.set(None)
    logging.getLogger("some.library").warning("I have something to say.")

    assert written.lines[0]["request_id"] == "-"
    assert written.text[0].endswith("I have something to say. [-]")


async def test_no_line_has_secret_of_query_header_or_token(api: Caller, written: Written, canary: Canary) -> None:
    secret = canary.secret.encode()
    for method, path in (("GET", MAIL_SERVER), ("PUT", MAIL_SERVER), ("GET", "/docs"), ("GET", "/audit")):
        request = api.http.build_request(
            method,
            f"{BASE_URL}{path}",
            params={"access_token": canary.secret},
            content=secret,
            headers=[
                (b"Authorization", b"Bearer " + secret),
                (b"X-Request-ID", secret),
                (b"opc-request-id", secret),
                (b"traceparent", secret),
                (b"Cookie", secret),
            ],
        )
        await api.http.send(request)

    assert len(written.accesses) == 4
    canary.assert_nowhere(json.dumps(written.lines), "\n".join(written.text))


async def test_passed_health_probes_are_logged_at_debug_only(
    api: Caller, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    for level in (logging.INFO, logging.DEBUG):
        caplog.set_level(level)
        await api(None).send("GET", "/health/live")
        await api(None).send("POST", "/health/live")

    assert [(line["level"], line["status"]) for line in written.accesses] == [
        ("INFO", 405),
        ("DEBUG", 200),
        ("INFO", 405),
    ]


def test_control_characters_do_not_reach_a_terminal(written: Written) -> None:
    logging.getLogger("mailsettings.test").warning(
        "It said \x1b[2J\x9b31m and\nmore.", extra={"color_message": "\x1b"}
    )

    assert written.text[-2].endswith(r"It said \x1b[2J\x9b31m and")
    assert set(written.lines[-1]) == {"time", "level", "logger", "message", "request_id"}
