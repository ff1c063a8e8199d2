"""Traces: a span for each request and each stage of a connection test, without secrets."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mailsettings import __version__, settings
from mailsettings.bootstrap.service import create_tracing
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.settings import SettingsInvalid
from mailsettings.telemetry import otlp
from mailsettings.telemetry.tracing import Tracing

from support.canary import Canary
from support.otlp_receiver import receiving
from support.processes import clean_environment, serving
from support.request_bodies import checkmarx, checkmarx_test, oracle
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, TOKEN
from support.smtp_server import HOST, USERNAME, Behaviour, real_server

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NANOSECONDS = 1_000_000
HTTP = {"http.request.method", "http.response.status_code", "network.protocol.version", "url.scheme"}


class Traced:
    """The spans received so far."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider: TracerProvider = otlp.create_provider(self._exporter)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        self.provider.force_flush()
        return self._exporter.get_finished_spans()

    def of(self, path: str) -> ReadableSpan:
        """The span of the one request to the route of this path."""
        (found,) = [span for span in self.spans if span.name.endswith(f" {path}")]
        return found

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the child spans of *parent*, by start time."""
        assert parent.context is not None
        found = [span for span in self.spans if span.parent and span.parent.span_id == parent.context.span_id]
        return sorted(found, key=lambda span: (span.start_time or 0, span.end_time or 0))


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.provider.shutdown()


@pytest.fixture
def tracing(traced: Traced) -> Tracing:
    return Tracing(traced.provider, traced.provider.shutdown)


@pytest.fixture
def kind() -> str:
    """These tests do not depend on the kind of database."""
    return "sqlite"


async def test_a_request_is_a_span_named_by_its_route(http: httpx.AsyncClient, traced: Traced) -> None:
    await http.get(f"{SMTP_SETTINGS}/7?canary=1")

    span = traced.of(f"{SMTP_SETTINGS}/{{id}}")
    assert (span.name, span.kind) == (f"GET {SMTP_SETTINGS}/{{id}}", SpanKind.SERVER)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "http.route": f"{SMTP_SETTINGS}/{{id}}",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    assert (span.events, span.links, span.status.description) == ((), (), None)
    assert span.resource.attributes["service.name"] == "mailsettings"


async def test_a_callers_trace_continues(http: httpx.AsyncClient, traced: Traced) -> None:
    await http.get(MAIL_SERVER, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    span = traced.of(MAIL_SERVER)
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)


async def test_the_access_line_names_the_trace(
    http: httpx.AsyncClient, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mailsettings.access")
    await http.get(MAIL_SERVER, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    assert vars(caplog.records[-1])["trace_id"] == TRACE


def test_the_operator_names_the_service_in_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mail-of-the-north")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    found = otlp.create_provider(InMemorySpanExporter()).resource.attributes

    assert found["service.name"] == "mail-of-the-north"
    assert found["deployment.environment"] == "test"
    assert found["service.version"] == __version__


async def test_an_unsampled_caller_is_not_traced(http: httpx.AsyncClient, traced: Traced) -> None:
    await http.get(MAIL_SERVER, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})

    assert [span.name for span in traced.spans] == [f"POST {TOKEN}"]  # the login of the fixture


async def test_connection_test_stages_are_child_spans_of_the_request(
    http: httpx.AsyncClient, traced: Traced
) -> None:
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, "its password")) as server:
        body = checkmarx_test("its password") | {"host": HOST, "port": server.port, "username": USERNAME}
        tested = await http.post(f"{SMTP_SETTINGS}/testconnection", json=body)

    assert tested.status_code == 200
    request = traced.of(f"{SMTP_SETTINGS}/testconnection")
    (test,) = traced.below(request)
    stages = traced.below(test)
    assert [span.name for span in stages] == [
        *("smtp resolve", "smtp connect", "smtp greet", "smtp secure", "smtp authenticate"),
        *("smtp sender", "smtp recipient", "smtp content"),
    ]
    assert dict(test.attributes or {}) == {"mailsettings.test.outcome": "passed"}
    assert dict(stages[0].attributes or {}) == {
        "mailsettings.test.stage": "resolve",
        "mailsettings.test.outcome": "passed",
    }
    assert [span.end_time for span in stages[:-1]] == [span.start_time for span in stages[1:]]
    assert (request.start_time or 0) <= (test.start_time or 0) == stages[0].start_time
    # The report has stages in whole milliseconds.
    assert (stages[-1].end_time or 0) <= (test.end_time or 0) + len(stages) * NANOSECONDS


async def test_the_failed_stage_has_the_failure_code(http: httpx.AsyncClient, traced: Traced) -> None:
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, "another", login_reply="535 canary")) as server:
        body = checkmarx_test("its password") | {"host": HOST, "port": server.port, "username": USERNAME}
        await http.post(f"{SMTP_SETTINGS}/testconnection", json=body)

    (test,) = traced.below(traced.of(f"{SMTP_SETTINGS}/testconnection"))
    stages = traced.below(test)
    assert [span.status.status_code for span in (test, *stages)] == [
        StatusCode.ERROR,
        *[StatusCode.UNSET] * 4,
        StatusCode.ERROR,
    ]
    assert dict(stages[-1].attributes or {}) == {
        "mailsettings.test.stage": "authenticate",
        "mailsettings.test.outcome": "failed",
        "error.type": "smtp_auth_failed",
    }
    assert "canary" not in everything(traced)


def everything(traced: Traced) -> str:
    return "\n".join(f"{span.to_json()} {span.context} {span.parent}" for span in traced.spans)


async def test_spans_contain_no_query_header_path_or_secret(
    http: httpx.AsyncClient, traced: Traced, canary: Canary
) -> None:
    hidden = Canary(plain=True)
    headers = {
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "tracestate": f"vendor={hidden}",
        "baggage": f"who={hidden}",
        "X-Request-ID": str(hidden),
        "opc-request-id": str(hidden),
        "Cookie": str(hidden),
        "Host": f"{hidden}.example.org",
        "User-Agent": str(hidden),
        "X-Forwarded-For": str(hidden),
    }
    for path in (MAIL_SERVER, SMTP_SETTINGS, f"{SMTP_SETTINGS}/{hidden}", f"/audit/{hidden}"):
        for body in (oracle(canary.secret), checkmarx(canary.secret), {"password": canary.secret, "port": "x"}):
            await http.put(f"{path}?token={hidden}", json=body, headers=headers)
            await http.post(f"{path}?token={hidden}", json=body, headers=headers)
        await http.request(hidden.secret, path, headers=headers)
    await http.get(MAIL_SERVER, headers={"Authorization": f"Bearer {hidden}"})
    form = {"grant_type": "password", "username": str(hidden), "password": canary.secret}
    await http.post(TOKEN, data=form, headers=headers)

    assert len(traced.spans) > 20
    assert {name for span in traced.spans for name in span.attributes or ()} == HTTP | {"http.route"}
    canary.assert_nowhere(everything(traced))
    hidden.assert_nowhere(everything(traced))
    assert BASE_URL not in everything(traced)


async def test_pages_and_health_are_not_traced(http: httpx.AsyncClient, traced: Traced) -> None:
    before = len(traced.spans)
    for path in ("/docs", "/health/live", "/health/ready", "/openapi.json"):
        await http.get(path)

    assert len(traced.spans) == before


def test_a_collector_receives_all_spans_of_a_service(tmp_path: Path) -> None:
    secret = Canary(plain=True)
    with receiving() as collector:
        environment = clean_environment(
            tmp_path / "data", OTLP_ENDPOINT=f"{collector.url}/", ADMIN_PASSWORD=secret.secret
        )
        with serving(environment) as (url, output):
            form = {"grant_type": "password", "username": "admin", "password": secret.secret}
            token = httpx.post(url + TOKEN, data=form, params={"q": secret.secret}).json()["access_token"]
            bearer = {"Authorization": f"Bearer {token}"}
            httpx.put(url + MAIL_SERVER, json=oracle(secret.secret), headers=bearer)

    assert [span.name for span in collector.spans] == [f"POST {TOKEN}", f"PUT {MAIL_SERVER}"]
    assert set(collector.paths) == {"/v1/traces"}
    for canary in (secret, Canary(made=token)):
        canary.assert_nowhere(*collector.bodies, *collector.headers, output.read_text())


def test_without_a_collector_the_sdk_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from mailsettings.bootstrap.service import service_from_environment; "
        "service_from_environment(); "
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    command = [sys.executable, "-c", program]

    printed = subprocess.run(command, env=clean_environment(tmp_path), capture_output=True, text=True, check=True)

    assert printed.stdout == "[]\n"


def test_a_missing_extra_stops_the_start_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILSETTINGS_OTLP_ENDPOINT", "http://canary.test:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "mailsettings.telemetry.otlp")

    with pytest.raises(SettingsInvalid) as refused:
        create_tracing(settings.read())

    assert str(refused.value) == (
        "MAILSETTINGS_OTLP_ENDPOINT is set. Traces need the extra: pip install '.[tracing]'."
    )


def test_without_the_setting_there_are_no_traces() -> None:
    assert create_tracing(settings.read()) is None
