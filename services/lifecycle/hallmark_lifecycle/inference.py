"""What KServe's inference logger sends: CloudEvents 1.0 on Kafka, binary (`ce_*` headers) or structured JSON. Pure.

Read from an event (integrations.md, "KServe inference logger"):

- `inferenceservicename` and `namespace`: the deployment and its environment;
- `annotations`, a JSON object (or a string of one), with `hallmark.io/model-version`, `hallmark.io/digest` and
  `hallmark.io/promotion` of the manifest; without them the event is *unattributed*, never guessed;
- the customer: the extension `customer`, or the header `x-hallmark-customer` in the extension `metadata` (a JSON object
  of lists), or the member `customer` of a JSON body, in this order; none is allowed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from registry_core.events import derived_id
from registry_core.events.base import NAMESPACE
from registry_core.messaging.transport import InboundRecord
from registry_core.values import Name, parse_ref

from hallmark_lifecycle import manifest

REQUEST: Final = "org.kubeflow.serving.inference.request"
RESPONSE: Final = "org.kubeflow.serving.inference.response"
STRUCTURED: Final = "application/cloudevents+json"
CUSTOMER_LENGTH: Final = 256


class InferenceError(ValueError):
    """A record that is no inference event; every flaw is named."""


def _parsed(value: object) -> object:
    """KServe sends these extensions as JSON text; `null` when there is nothing in them."""
    if not isinstance(value, str):
        return value if value is not None else {}
    try:
        return json.loads(value) or {}
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON object") from None


class _CloudEvent(BaseModel):
    """The attributes that are looked at; CloudEvents allows any others beside them."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    type: Literal["org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"]
    time: AwareDatetime | None = None
    recordedtime: AwareDatetime | None = None
    inferenceservicename: Name
    namespace: Name
    annotations: Annotated[dict[str, str], BeforeValidator(_parsed)] = Field(default_factory=dict)
    metadata: Annotated[dict[str, list[str]], BeforeValidator(_parsed)] = Field(default_factory=dict)
    customer: Annotated[str, StringConstraints(strip_whitespace=True, max_length=CUSTOMER_LENGTH)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """One request or response, as its event tells."""

    id: UUID
    """From source, id and type: the same event always has the same."""
    is_request: bool
    deployment: str
    environment: str
    at: datetime
    ref: str | None
    digest: str | None
    promotion: str | None
    customer: str | None

    @classmethod
    def of(cls, event: _CloudEvent, body: object) -> Self:
        at = event.time or event.recordedtime
        if at is None:
            raise InferenceError("time: neither `time` nor `recordedtime` is there; when was it served?")
        return cls(
            id=derived_id(NAMESPACE, json.dumps([event.source, event.id, event.type])),
            is_request=event.type == REQUEST,
            deployment=event.inferenceservicename,
            environment=event.namespace,
            at=at.astimezone(UTC),
            ref=_reference(event.annotations.get(manifest.REF)),
            digest=event.annotations.get(manifest.DIGEST),
            promotion=event.annotations.get(manifest.PROMOTION),
            customer=event.customer or _from_headers(event.metadata) or _from_body(body),
        )


def parse(record: InboundRecord) -> Inference:
    """Raises InferenceError."""
    headers = {name.lower(): value for name, value in record.headers.items()}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == STRUCTURED:
            return _structured(record.value)
        return _binary(headers, record.value)
    except ValidationError as error:
        raise InferenceError(_flaws(error)) from None


def _structured(value: bytes) -> Inference:
    document = _json(value)
    if not isinstance(document, dict):
        raise InferenceError(f"a record of {STRUCTURED} must be one JSON object")
    return Inference.of(_CloudEvent.model_validate(document), document.get("data"))


def _binary(headers: Mapping[str, str], value: bytes) -> Inference:
    attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
    if not attributes:
        raise InferenceError(f"no CloudEvent: neither `ce_` headers nor content-type {STRUCTURED}")
    return Inference.of(_CloudEvent.model_validate(attributes), _json(value))


def _json(value: bytes) -> Any:
    """None for whatever is not JSON, e.g. a binary tensor."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _reference(text: str | None) -> str | None:
    """What is no reference attributes nothing."""
    try:
        parse_ref(text or "")
    except ValueError:
        return None
    return text


def _from_headers(metadata: Mapping[str, list[str]]) -> str | None:
    named = (values for name, values in metadata.items() if name.lower() == manifest.CUSTOMER_HEADER)
    return next((value.strip()[:CUSTOMER_LENGTH] for values in named for value in values if value.strip()), None)


def _from_body(body: object) -> str | None:
    """A member of another type belongs to the model's own input."""
    customer = body.get("customer") if isinstance(body, dict) else None
    return customer.strip()[:CUSTOMER_LENGTH] or None if isinstance(customer, str) else None


def _flaws(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found)[:2000]
