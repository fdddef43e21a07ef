"""KServe's inference logger: CloudEvents 1.0 in binary mode. Lifecycle reads what one says, as of those on Kafka.

The logger signs nothing and sets no header of ours, so the secret is the password in the address that it is given. An
event is known again by source, id and type (CloudEvents: the first two; request and response share them).
"""

import base64
import json
from datetime import datetime
from typing import Final

from hallmark_ingestion.sources.receivers.base import (
    Headers,
    Inference,
    Meaning,
    Proven,
    Receiver,
    Sample,
    Secrets,
    Setup,
    UnreadableError,
    digest,
    matches,
    required,
    time_of,
    wrong,
)

TYPES: Final = ("org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response")
PREFIX: Final = "ce-"
USER: Final = "hallmark"
ANNOTATIONS: Final = tuple(f"hallmark.io/{name}" for name in ("model-version", "digest", "promotion", "use-context"))
ATTRIBUTES: Final = (
    "specversion", "id", "source", "type", "time", "recordedtime", "inferenceservicename", "namespace", "component",
    "endpoint", "annotations", "metadata", "customer",
)  # fmt: skip


def _credentials(secret: bytes) -> list[bytes]:
    """What HTTP clients make of `https://hallmark:<secret>@…` (RFC 7617); or a bearer token, from a proxy between."""
    return [b"Basic " + base64.b64encode(f"{USER}:".encode() + secret), b"Bearer " + secret]


def verify(headers: Headers, body: bytes, secrets: Secrets, _now: datetime) -> Proven:
    if not matches(required(headers, "authorization"), _credentials, secrets):
        raise wrong("authorization")
    identity = [headers.get(f"{PREFIX}{name}", "") for name in ("source", "id", "type")]
    key = digest(json.dumps(identity).encode()) if identity[1] else digest(body)
    return Proven(key, time_of(headers.get(f"{PREFIX}time") or headers.get(f"{PREFIX}recordedtime")))


def interpret(headers: Headers, _body: bytes) -> Meaning:
    if headers.get(f"{PREFIX}specversion") != "1.0":
        raise UnreadableError("no ce-specversion 1.0: KServe's logger sends CloudEvents in binary mode")
    if headers.get(f"{PREFIX}type") not in TYPES:
        raise UnreadableError(f"ce-type {headers.get(f'{PREFIX}type', '')[:80]!r} is no inference request or response")
    deployment = headers.get(f"{PREFIX}inferenceservicename", "")
    if not deployment:
        raise UnreadableError("no ce-inferenceservicename: whose request it was cannot be told")
    return Inference(deployment[:128])


def sample(secret: str, now: datetime) -> Sample:
    attributes = {
        "specversion": "1.0", "id": "hallmark-test", "source": "http://localhost:9081/", "type": TYPES[0],
        "time": now.isoformat(), "inferenceservicename": "hallmark-test", "namespace": "default",
        "annotations": "{}",
    }  # fmt: skip
    headers = {f"{PREFIX}{name}": value for name, value in attributes.items()}
    proof = _credentials(secret.encode())[0].decode()
    return Sample({"content-type": "application/json", "authorization": proof, **headers}, b'{"inputs": []}')


def setup(url: str, secret: str) -> Setup:
    address = json.dumps(url.replace("://", f"://{USER}:{secret}@", 1))
    logger = (
        "spec:\n  predictor:\n    logger:\n      mode: request\n"
        f"      url: {address}\n"
        f"      metadataAnnotations: [{', '.join(ANNOTATIONS)}]\n"
        "      metadataHeaders: [x-hallmark-customer]\n"
    )
    steps = (
        "Put the lines below into each InferenceService; its annotations hallmark.io/… (in the manifest that Hallmark "
        "writes) say which version it serves. Without them requests are counted as unattributed.",
        "The secret is in the address, so who may read the InferenceService can read it: connect a source per cluster.",
        "The logger keeps its queue in memory and sends once: what it cannot deliver is lost. For many requests per "
        "second send to the Kafka topic serving.inference instead.",
    )
    return Setup(steps, {"InferenceService": logger})


RECEIVER: Final = Receiver(
    title="KServe", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent", *(f"{PREFIX}{name}" for name in ATTRIBUTES)),
)  # fmt: skip
