"""Generates what is checked in under `schemas/`: one JSON Schema per event type, AsyncAPI and OpenAPI.

`python -m registry_core.schemas schemas` writes them (`make schemas`); a test fails when they differ from the code.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
import yaml

from registry_core.clock import system_clock
from registry_core.events import Event, event_types, topic_of
from registry_core.http.app import make_app
from registry_core.notifier import Notifier
from registry_core.objects import ObjectStorage
from registry_core.service import ALL, Platform, find_services
from registry_core.settings import Settings
from registry_core.store.postgres import PostgresEventStore

HEADERS: Final = {
    "ce_id": "the event's id, UUID",
    "ce_type": "the event's type",
    "ce_source": "urn:hallmark:registry",
    "ce_subject": "the stream, e.g. a version's reference; also the record's key",
    "ce_time": "when it occurred, RFC 3339",
    "ce_recordedtime": "when it was recorded, RFC 3339",
    "ce_streamversion": "place in its stream, from 0",
    "ce_logindex": "place in the log, from 0, dense",
    "ce_previousindex": "log index of the record before it in this topic and partition; -1 for the first",
    "ce_correlationid": "the request or input that it all began with, UUID",
    "ce_causationid": "the event that it follows from, UUID; absent for a first cause",
    "ce_actor": "the account that acted",
    "ce_traceparent": "W3C Trace Context",
}
INBOUND: Final = {
    "mlops.events": "CloudEvents 1.0 from pipelines, binary or structured; types: io.hallmark.register-version.v1",
    "serving.inference": "CloudEvents 1.0 from KServe's inference logger",
}


def event_schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event type's body: closed, so that an unknown field is an error."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hallmark:event:{event.type}",
        **event.model_json_schema(mode="serialization"),
    }


def event_path(event_type: str) -> str:
    """`events/<type without version>/v<n>.json`."""
    name, _, version = event_type.rpartition(".")
    return f"events/{name}/{version}.json"


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of the topics: the registry's, which anyone may read, and the inbound ones."""
    topics: dict[str, list[str]] = {}
    for event_type in event_types():
        topics.setdefault(topic_of(event_type), []).append(event_type)
    channels = {topic: _channel(topic, types) for topic, types in sorted(topics.items())}
    channels |= {topic: {"address": topic, "description": text} for topic, text in INBOUND.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Hallmark", "version": "1.0.0", "description": "Topics as CloudEvents 1.0, binary mode."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {_operation(topic): _send_or_receive(topic) for topic in channels},
    }


def _channel(topic: str, types: list[str]) -> dict[str, Any]:
    return {"address": topic, "messages": {event_type: _message(event_type) for event_type in types}}


def _message(event_type: str) -> dict[str, Any]:
    return {
        "name": event_type,
        "summary": " ".join((event_types()[event_type].__doc__ or "").split()),
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in HEADERS.items()},
        },
        "payload": {"$ref": event_path(event_type)},
    }


def _operation(topic: str) -> str:
    return f"{'receive' if topic in INBOUND else 'publish'}_{topic.replace('.', '_')}"


def _send_or_receive(topic: str) -> dict[str, Any]:
    return {"action": "receive" if topic in INBOUND else "send", "channel": {"$ref": f"#/channels/{topic}"}}


async def of_services() -> dict[str, dict[str, Any]]:
    """By path: OpenAPI 3.1 of all services together, and what they accept. Nothing is connected to."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_construct(data_dir=Path(folder))
        (Path(folder) / "keys").mkdir()
        pool = asyncpg.create_pool(min_size=0)
        platform = Platform(
            settings, pool, PostgresEventStore(pool), Notifier(""), ObjectStorage.open(settings), system_clock, pool
        )
        services = [build(platform) for build in find_services(ALL)]
        accepted = {name: model for service in services for name, model in service.accepts.items()}
        return {
            "openapi.json": make_app(platform, services).openapi_schema.to_schema(),
            **{f"inbound/{name}.json": model.model_json_schema() for name, model in accepted.items()},
        }


def documents() -> Mapping[str, str]:
    """Every generated file's text by its path under `schemas/`."""
    texts = {event_path(name): _json(event_schema(event)) for name, event in event_types().items()}
    texts["asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, width=120, allow_unicode=True)
    texts |= {path: _json(document) for path, document in asyncio.run(of_services()).items()}
    return texts


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"


def write(folder: Path) -> None:
    """Write every document, and remove event schemas that no type has."""
    texts = documents()
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    for stale in (folder / "events").rglob("*.json"):
        if stale.relative_to(folder).as_posix() not in texts:
            stale.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
