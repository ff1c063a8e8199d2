"""OpenTelemetry traces: FastAPI's span for each request, with spans for the stages of a connection test.

This module needs only the OpenTelemetry API, a dependency of FastAPI; `otlp` needs the SDK, an optional extra.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import Span, StatusCode, Tracer, TracerProvider, format_trace_id, get_current_span

from mailsettings.domain.connection_test import Outcome, ProbeListener, ProbeReport, StageReport
from mailsettings.domain.mail_server import MailServer

STAGE_ATTRIBUTE, OUTCOME_ATTRIBUTE, ERROR_ATTRIBUTE = (
    "mailsettings.test.stage",
    "mailsettings.test.outcome",
    "error.type",
)
Probe = Callable[[MailServer, str | None, ProbeListener | None], Awaitable[ProbeReport]]
"""One connection test, as `SMTPProber.probe` makes it."""
_NANOSECONDS_PER_MILLISECOND = 1_000_000  # in nanoseconds, which spans are counted in


class TracingNotInstalled(Exception):
    """The optional extra is not installed."""

    def __init__(self) -> None:
        super().__init__("Traces need the extra: pip install '.[tracing]'.")


@dataclass(frozen=True, slots=True)
class Tracing:
    """Traces for *provider*; *shut_down* sends the remaining spans, and blocks."""

    provider: TracerProvider
    shut_down: Callable[[], None]

    @property
    def fastapi_config(self) -> TelemetryConfig:
        """FastAPI's configuration: spans only. Its logs would contain values that validation rejected."""
        off: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
        return {"tracing": True, "tracer_provider": self.provider, **off}

    def traced(self, probe: Probe) -> "TracedProber":
        """Return a prober that calls *probe* and records spans."""
        return TracedProber(probe, self.provider.get_tracer("mailsettings"))

    async def close(self) -> None:
        """Send the remaining spans, on a thread: the receiver may not respond."""
        await asyncio.to_thread(self.shut_down)


def current_trace_id() -> str | None:
    """Return the id of the current trace in hexadecimal digits (W3C Trace Context); None outside a trace."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def require_installed() -> None:
    """Check that the SDK is installed. Raises `TracingNotInstalled`."""
    try:
        import_module("mailsettings.telemetry.otlp")
    except ModuleNotFoundError:
        raise TracingNotInstalled from None


def send_traces_to(endpoint: str, proxy: str | None = None, ca_file: Path | None = None) -> Tracing:
    """Return traces that are sent by OTLP over HTTP. Raises `TracingNotInstalled`."""
    require_installed()
    from mailsettings.telemetry import otlp  # noqa: PLC0415  # the SDK is optional, and slow to import

    provider = otlp.create_provider(otlp.create_exporter(endpoint, proxy, ca_file))
    return Tracing(provider, provider.shutdown)


class TracedProber:
    """Records a connection test as one span, and each of its stages as a span below it."""

    def __init__(self, probe: Probe, tracer: Tracer) -> None:
        self._probe = probe
        self._tracer = tracer

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        """Make the connection test and record it."""
        begun = time.time_ns()
        # The text of an exception may contain secrets, so the span does not record exceptions.
        with self._tracer.start_as_current_span(
            "connection test", start_time=begun, record_exception=False, set_status_on_exception=False
        ) as span:
            report = await self._probe(server, recipient, listener)
            self._record(report, span, begun)
        return report

    def _record(self, report: ProbeReport, test: Span, begun: int) -> None:
        """Record the stages; their times follow from the durations in the report."""
        for stage in report.stages:
            if stage.outcome is not Outcome.SKIPPED:
                ended = begun + stage.milliseconds * _NANOSECONDS_PER_MILLISECOND
                self._record_stage(stage, report, begun, ended)
                begun = ended
        test.set_attribute(OUTCOME_ATTRIBUTE, _outcome(report))
        _mark_failed(test, report)

    def _record_stage(self, stage: StageReport, report: ProbeReport, begun: int, ended: int) -> None:
        span = self._tracer.start_span(f"smtp {stage.stage}", start_time=begun)
        span.set_attributes({STAGE_ATTRIBUTE: stage.stage.value, OUTCOME_ATTRIBUTE: stage.outcome.value})
        if stage.outcome is not Outcome.PASSED:
            _mark_failed(span, report)
        span.end(ended)


def _outcome(report: ProbeReport) -> str:
    ends = (stage.outcome for stage in report.stages if stage.outcome in {Outcome.FAILED, Outcome.UNKNOWN})
    return next(ends, Outcome.PASSED).value


def _mark_failed(span: Span, report: ProbeReport) -> None:
    if report.failure is not None:
        span.set_attribute(ERROR_ATTRIBUTE, report.failure.code.value)
        span.set_status(StatusCode.ERROR)
