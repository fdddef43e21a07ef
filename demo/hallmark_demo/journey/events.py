"""What pipelines and inference servers put on Kafka."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from hallmark.events import emit_cloudevent

SOURCE = "urn:example:bank:ci"


async def emit_registration(bootstrap: str, command: Mapping[str, Any]) -> None:
    """Register a draft by a CloudEvent on `mlops.events`, as a pipeline without the SDK would."""
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "type": "io.hallmark.register-version.v1",
        "datacontenttype": "application/json",
        "data": dict(command),
    }
    await emit_cloudevent(bootstrap, event)


async def emit_inferences(
    bootstrap: str, annotations: Mapping[str, str] | None, customers: Sequence[str], at: datetime, service: str
) -> None:
    """What KServe's logger sends for one request of each customer; without annotations it is unattributed."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all") as producer:
        for customer in customers:
            await producer.send(
                "serving.inference", json.dumps({"instances": 1}).encode(), key=service.encode(),
                headers=_headers(annotations, customer, at, service),
            )  # fmt: skip
        await producer.flush()


def _headers(
    annotations: Mapping[str, str] | None, customer: str, at: datetime, service: str
) -> list[tuple[str, bytes]]:
    attributes = {
        "specversion": "1.0",
        "type": "org.kubeflow.serving.inference.request",
        "source": f"http://{service}-predictor",
        "id": str(uuid4()),
        "time": at.isoformat(),
        "inferenceservicename": service,
        "namespace": "production",
        "customer": customer,
    }
    if annotations:
        attributes["annotations"] = json.dumps(dict(annotations))
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return [("content-type", b"application/json"), *headers]
