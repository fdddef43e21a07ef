"""MLflow's webhooks (measured with 3.17): `X-MLflow-Signature` over delivery id, timestamp and raw body.

A webhook is a hint: six kinds of change send none, and none says who did it or what was before. So the server is asked.
A retry keeps delivery id, timestamp and signature.
"""

import base64
import hmac
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import StringConstraints

from hallmark_ingestion.external.mlflow_state import announced
from hallmark_ingestion.sources.receivers.base import (
    Headers,
    Hint,
    Meaning,
    Nothing,
    Part,
    Proven,
    Receiver,
    Sample,
    Secrets,
    Setup,
    UnprovenError,
    document,
    matches,
    plain_key,
    read,
    required,
    unix_time,
    wrong,
)

ID, TIME, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
ENTITIES: Final = frozenset({"registered_model", "model_version", "model_version_tag", "model_version_alias"})
EVENTS: Final = (
    "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
    "model_version_alias.created", "model_version_alias.deleted",
)  # fmt: skip
WINDOW: Final = timedelta(minutes=15)
"""Three retries with a back-off of at most a minute and a timeout of half a minute each stay well below."""


class _Named(Part):
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Event(Part):
    entity: Annotated[str, StringConstraints(max_length=64)]
    action: Annotated[str, StringConstraints(max_length=64)]
    data: dict[str, Any]


def signature(secret: bytes, delivery: str, stamp: str, body: bytes) -> bytes:
    """As MLflow makes it: `v1,` and base64 of HMAC-SHA256."""
    signed = b".".join((delivery.encode("utf-8", "surrogatepass"), stamp.encode("utf-8", "surrogatepass"), body))
    return b"v1," + base64.b64encode(hmac.digest(secret, signed, "sha256"))


def verify(headers: Headers, body: bytes, secrets: Secrets, _now: datetime) -> Proven:
    delivery, stamp, given = (required(headers, name) for name in (ID, TIME, SIGNATURE))
    if not matches(given, lambda secret: [signature(secret, delivery, stamp, body)], secrets):
        raise wrong(SIGNATURE)
    sent_at = unix_time(stamp)
    if sent_at is None:
        raise UnprovenError(f"{TIME} is no number of seconds")
    return Proven(plain_key(delivery), sent_at)


def interpret(headers: Headers, body: bytes) -> Meaning:
    event = read(_Event, document(headers, body))
    if event.entity not in ENTITIES:
        return Nothing(f"{event.entity}.{event.action} concerns no registered model")
    name = read(_Named, event.data).name
    return Hint(name, announced(f"{event.entity}.{event.action}", event.data))


def sample(secret: str, now: datetime) -> Sample:
    data = {"name": "hallmark-test", "version": "1", "alias": "champion"}
    event = {"entity": "model_version_alias", "action": "created", "timestamp": now.isoformat(), "data": data}
    body, delivery, stamp = json.dumps(event).encode(), "hallmark-test", str(int(now.timestamp()))
    signed = signature(secret.encode(), delivery, stamp, body).decode()
    return Sample({"content-type": "application/json", ID: delivery, TIME: stamp, SIGNATURE: signed}, body)


def setup(url: str, secret: str) -> Setup:
    events = ", ".join(f'"{event}"' for event in EVENTS)
    code = (
        "from mlflow import MlflowClient\n\n"
        f'MlflowClient().create_webhook(name="hallmark", url="{url}", secret="{secret}", events=[{events}])\n'
    )
    steps = (
        "Run the lines below once, with MLFLOW_TRACKING_URI naming the tracking server (MLflow 3.3 or later).",
        "In a cluster, with an address that is private or plain http, start the MLflow server with "
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true and MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https.",
        "A new webhook may miss the events of its first minute: MLflow remembers the list of webhooks for so long.",
    )
    return Setup(steps, {"Python, run once": code})


RECEIVER: Final = Receiver(
    title="MLflow", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent", ID, TIME, SIGNATURE), window=WINDOW,
)  # fmt: skip
