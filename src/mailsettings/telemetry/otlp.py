"""Spans on their way out, over HTTP (OTLP). Imported only when they are wanted: the SDK is an extra.

What may leave us is named here; everything else that a library puts on a span stays: FastAPI's have the query,
the path as it was written and the Host header.
"""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext
from opentelemetry.trace.status import Status

from mailsettings import __version__
from mailsettings.telemetry.tracing import ERROR, OUTCOME, STAGE

ALLOWED = frozenset(
    {
        *("http.request.method", "http.response.status_code", "http.route"),
        *("network.protocol.version", "url.scheme", STAGE, OUTCOME, ERROR),
    }
)
TIMEOUT_SECONDS = 5
"""For one batch; the end of the program waits for the last."""


def exporter(endpoint: str) -> SpanExporter:
    """Sends to `/v1/traces` below *endpoint*, as the standard's own variable for it has it."""
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT_SECONDS)


def provider(to: SpanExporter) -> TracerProvider:
    """What makes spans and sends them in batches, as the standard's own variables, OTEL_…, have it."""
    resource = Resource.create({"service.name": "mailsettings", "service.version": __version__})
    made = TracerProvider(resource=resource, shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(AllowedOnly(to)))
    return made


class AllowedOnly(SpanExporter):
    """Hands spans on with nothing on them but what is allowed."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by the processor, in a thread of its own."""
        return self._to.export([_reduced(span) for span in spans])

    def shutdown(self) -> None:
        """Called by the processor in the end."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Called by the processor."""
        return self._to.force_flush(timeout_millis)


def _reduced(span: ReadableSpan) -> ReadableSpan:
    attributes = {name: value for name, value in (span.attributes or {}).items() if name in ALLOWED}
    return ReadableSpan(
        name=span.name,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _without_state(context: SpanContext | None) -> SpanContext | None:
    """The state is text of the caller's, from the header `tracestate`."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
