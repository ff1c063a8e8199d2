"""Export spans by OTLP over HTTP. Imported only if traces are configured: the SDK is an optional extra.

Only the attributes listed here are exported. Libraries add others: FastAPI's spans contain the query, the raw path
and the Host header, which may contain secrets.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext
from opentelemetry.trace.status import Status

from mailsettings import __version__
from mailsettings.telemetry.tracing import ERROR_ATTRIBUTE, OUTCOME_ATTRIBUTE, STAGE_ATTRIBUTE

ALLOWED_ATTRIBUTES = frozenset(
    {
        *("http.request.method", "http.response.status_code", "http.route"),
        *("network.protocol.version", "url.scheme", STAGE_ATTRIBUTE, OUTCOME_ATTRIBUTE, ERROR_ATTRIBUTE),
    }
)
TIMEOUT_SECONDS = 5
"""For one batch, and for all remaining batches at shutdown."""


def create_exporter(endpoint: str, proxy: str | None = None, ca_file: Path | None = None) -> SpanExporter:
    """Return an exporter to `/v1/traces` below *endpoint*, as with OTEL_EXPORTER_OTLP_ENDPOINT.

    It uses *proxy* for `https`, and no proxy of the environment.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"https": proxy} if proxy else {}
    trusted = str(ca_file) if ca_file is not None else None
    place = f"{endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(place, certificate_file=trusted, timeout=TIMEOUT_SECONDS, session=session)


def create_provider(to: SpanExporter) -> TracerProvider:
    """Return a provider that sends spans in batches; the standard OTEL_… variables configure the batches."""
    ours = Resource({"service.name": "mailsettings", "service.version": __version__})
    # The operator's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win; the SDK gives them less weight than ours.
    resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())
    allowed = FilteringExporter(to)
    made = _PromptProvider(allowed, resource)
    made.add_span_processor(BatchSpanProcessor(allowed))
    return made


class FilteringExporter(SpanExporter):
    """Exports spans with the allowed attributes only."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to
        self._until = float("inf")

    def limit_remaining_time(self) -> None:
        """Limit the time for all remaining batches to the timeout of one batch."""
        self._until = time.monotonic() + TIMEOUT_SECONDS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans*. The processor calls it on its own thread."""
        if time.monotonic() >= self._until:
            return SpanExportResult.FAILURE
        return self._to.export([_filtered(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the inner exporter down. The processor calls it last."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner exporter. The processor calls it."""
        return self._to.force_flush(timeout_millis)


class _PromptProvider(TracerProvider):
    """A provider that waits for a silent receiver once at shutdown, not once for each batch."""

    def __init__(self, exporter: FilteringExporter, resource: Resource) -> None:
        super().__init__(resource=resource, shutdown_on_exit=False)
        self._exporter = exporter

    def shutdown(self) -> None:
        self._exporter.limit_remaining_time()
        super().shutdown()


def _filtered(span: ReadableSpan) -> ReadableSpan:
    attributes = {name: value for name, value in (span.attributes or {}).items() if name in ALLOWED_ATTRIBUTES}
    return ReadableSpan(
        name=span.name,
        context=_without_tracestate(span.context),
        parent=_without_tracestate(span.parent),
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _without_tracestate(context: SpanContext | None) -> SpanContext | None:
    """Remove the state: it is the caller's text, from the header `tracestate`."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
