"""One version can be followed through HTTP, SQL and Kafka by its trace id."""

import json
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from registry_core import telemetry
from registry_core.settings import Settings
from support import http, running, token_of, until

pytestmark = pytest.mark.messaging
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans(settings: Settings) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.configure(settings, "test", exporter)
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.clear()


async def test_a_version_is_followed_through_http_sql_and_kafka(
    settings: Settings, spans: InMemorySpanExporter
) -> None:
    async with running(settings, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor")
        async with http(platform, services, token) as client:
            body = {"ref": "model:traced@1.0.0", "digest": "sha256:" + "0" * 64}
            await client.post("/v1/versions", json=body, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

        async def handled() -> bool:
            return any("ingestion io.hallmark.version.registered.v1" in s.name for s in spans.get_finished_spans())

        await until(handled)
        consumer = AIOKafkaConsumer(
            "registry.versions", bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest"
        )
        async with consumer:
            async for record in consumer:
                headers = {name: value.decode() for name, value in record.headers if value}
                if headers.get("ce_subject") == "model:traced@1.0.0":
                    break
    names = {s.name for s in spans.get_finished_spans() if trace.format_trace_id(s.context.trace_id) == TRACE}
    assert any(name.startswith("POST /v1/versions") for name in names), names
    assert any("append_batch" in name.lower() or name in ("SELECT", "select") for name in names), names
    assert "ingestion io.hallmark.version.registered.v1" in names
    assert TRACE in headers["ce_traceparent"]


async def test_logs_are_json_and_hold_no_secret(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    import structlog

    telemetry.configure(settings, "test")
    structlog.get_logger().info("signed in", account="alice", token="hmk_alice_x_secret", authorization="Bearer y")
    line = json.loads(capsys.readouterr().err.strip().splitlines()[-1])
    assert line["event"] == "signed in"
    assert (line["token"], line["authorization"]) == ("[secret]", "[secret]")
