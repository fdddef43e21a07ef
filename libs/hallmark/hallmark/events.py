"""CloudEvents from a pipeline straight onto Kafka; needs the extra `registry_core[server]` (aiokafka)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from hallmark.errors import HallmarkError

TOPIC: Final = "mlops.events"
_REQUIRED: Final = ("specversion", "id", "source", "type")
STRUCTURED: Final = "application/cloudevents+json"


async def emit_cloudevent(bootstrap: str, event: Mapping[str, Any], *, topic: str = TOPIC, **options: Any) -> None:
    """Send one CloudEvent 1.0 in structured mode, acknowledged by all replicas; keyed by `source`.

    `options` go to `AIOKafkaProducer` (SASL, TLS). Sending again is harmless: `source` and `id` identify an event.
    Raises HallmarkError for an incomplete event or without aiokafka, and aiokafka's errors.
    """
    value = encoded(event)
    try:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - an extra
    except ImportError as error:
        fix = "install registry-core[server], or send it over HTTP"
        raise HallmarkError("Missing package", "aiokafka is not installed", fix=fix) from error
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all", **options)
    await producer.start()
    try:
        headers = [("content-type", f"{STRUCTURED}; charset=UTF-8".encode())]
        await producer.send_and_wait(topic, value, key=str(event["source"]).encode(), headers=headers)
    finally:
        await producer.stop()


def encoded(event: Mapping[str, Any]) -> bytes:
    """The event as JSON. Raises HallmarkError that names what is missing."""
    if missing := [name for name in _REQUIRED if not event.get(name)]:
        raise HallmarkError(
            "Invalid event", f"the event has no {', '.join(missing)}", fix="fill in CloudEvents' required attributes"
        )
    return json.dumps(dict(event)).encode()
