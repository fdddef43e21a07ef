"""Logs (structlog, JSON), traces (OpenTelemetry) and metrics (Prometheus), the same for every service."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, WrappedLogger

from registry_core.redaction import RedactingFormatter, Redactor
from registry_core.settings import Settings

_SECRETS = frozenset({"authorization", "password", "secret", "token", "cookie", "private_key"})
_tracer = trace.get_tracer("hallmark")

HANDLED = Counter("hallmark_events_handled", "Events handled, by outcome", ["service", "type", "outcome"])
LAG = Gauge("hallmark_consumer_lag", "Sealed events of a partition not yet handled", ["service", "topic", "partition"])
JOBS = Counter("hallmark_jobs", "Jobs finished, by outcome", ["service", "kind", "outcome"])
JOB_SECONDS = Histogram("hallmark_job_seconds", "Run time of a job", ["service", "kind"])
SEALED = Counter("hallmark_events_sealed", "Events given a log index")
UNSEALED = Gauge("hallmark_unsealed_seconds", "Age of the oldest event found unsealed at the last pass")
RELAYED = Counter("hallmark_events_relayed", "Events published to Kafka")
CHECKPOINTS = Counter("hallmark_checkpoints_signed", "Signed heads of the log")
KEY_TROUBLE = Gauge("hallmark_checkpoint_key_trouble", "1 while no key of the log is at hand, so nothing is signed")
WITNESS_BEHIND = Gauge("hallmark_witness_behind", "Signed events that the witness does not hold yet", ["witness"])
WITNESS_CONFLICT = Gauge("hallmark_witness_conflict", "1 while a witness holds what contradicts the log", ["witness"])
DEAD_LETTERS = Counter("hallmark_dead_letters", "Records set aside", ["consumer"])
REFUSALS = Counter("hallmark_refusals", "Requests refused, by problem", ["problem"])
DELIVERIES = Counter(
    "hallmark_deliveries", "Deliveries of sources, by what became of them at receipt", ["kind", "outcome"]
)
POLLS = Counter("hallmark_source_polls", "Passes over a connected source, by outcome", ["source", "outcome"])
APPENDED = Counter("hallmark_events_appended", "Events appended through HTTP", ["type"])


def configure(settings: Settings, service: str, exporter: SpanExporter | None = None) -> None:
    """Set up logging and, with an exporter or `otlp_endpoint`, tracing for this process."""
    _configure_logs(settings, service)
    exporter = exporter or _otlp(settings)
    if exporter and not is_tracing():
        provider = TracerProvider(resource=Resource.create({"service.name": f"hallmark-{service}"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        _instrument_sql()


def _otlp(settings: Settings) -> SpanExporter | None:
    if not settings.otlp_endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - slow to import

    return OTLPSpanExporter(f"{settings.otlp_endpoint}/v1/traces")


def _instrument_sql() -> None:
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor  # noqa: PLC0415 - only when tracing

    AsyncPGInstrumentor().instrument()  # type: ignore[no-untyped-call]  # the library is untyped


def _configure_logs(settings: Settings, service: str) -> None:
    redact = Redactor.of(settings)
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_trace,
            _without_secrets,
            structlog.processors.format_exc_info,
            renderer,
            lambda _, __, line: redact(str(line)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # tells of every lost connection; we say it once ourselves


def _to_stderr(*_: object) -> structlog.PrintLogger:
    """Looked up each time: what a command answers on stdout stays apart from the log."""
    return structlog.PrintLogger(sys.stderr)


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        event["trace_id"] = trace.format_trace_id(current.trace_id)
    return event


def _without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: "[secret]" if key.lower() in _SECRETS else value for key, value in event.items()}


@contextmanager
def span(
    name: str, traceparent: str | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: str
) -> Iterator[Span]:
    """A span that continues `traceparent` (W3C Trace Context), or the current one."""
    parent: Context | None = propagate.extract({"traceparent": traceparent}) if traceparent else None
    with _tracer.start_as_current_span(name, context=parent, kind=kind, attributes=attributes) as current:
        yield current


def is_tracing() -> bool:
    """Whether `configure` was given somewhere to send spans to."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


@contextmanager
def continued(traceparent: str | None) -> Iterator[None]:
    """What happens inside belongs to the span that the caller named; nothing for none, or for a malformed one."""
    if traceparent is None:
        yield
        return
    token = context.attach(propagate.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def current_traceparent() -> str | None:
    """The current span as W3C `traceparent`, if there is one."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
