"""Weights & Biases automations: the body is the user's own template, so the one to paste is shipped here.

`X-Wandb-Signature` is HMAC-SHA256 over the raw body; receivers that can be read disagree whether in base64 or
hexadecimal, so both are taken. `Authorization: Bearer` alone will do where only an access token is set. There is
neither a delivery id nor a time: the same body within ten minutes is one delivery, later another, which changes nothing
if what it says is known. No event tells that an alias was removed.
"""

import base64
import hmac
import json
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import StringConstraints

from hallmark_ingestion.sources.receivers.base import (
    Change,
    Headers,
    Meaning,
    Nothing,
    Part,
    Proven,
    Receiver,
    Sample,
    Secrets,
    Setup,
    UnreadableError,
    digest,
    document,
    matches,
    read,
    required,
    wrong,
)

SIGNATURE: Final = "x-wandb-signature"
SAME: Final = timedelta(minutes=10)
VARIABLES: Final = (
    "event_type", "event_author", "alias", "artifact_version", "artifact_version_string", "artifact_collection_name",
    "project_name", "entity_name",
)  # fmt: skip
TEMPLATE: Final = json.dumps({name: f"${{{name}}}" for name in VARIABLES}, indent=2)
Word = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class _Event(Part):
    event_type: Word
    artifact_version_string: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    artifact_collection_name: Word
    project_name: Word
    entity_name: Word
    alias: Annotated[str, StringConstraints(max_length=128)] = ""


def signature(secret: bytes, body: bytes) -> list[bytes]:
    made = hmac.digest(secret, body, "sha256")
    return [base64.b64encode(made), made.hex().encode(), b"sha256=" + made.hex().encode()]


def verify(headers: Headers, body: bytes, secrets: Secrets, now: datetime) -> Proven:
    if SIGNATURE in headers:
        if not matches(headers[SIGNATURE].strip(), lambda secret: signature(secret, body), secrets):
            raise wrong(SIGNATURE)
    elif not matches(required(headers, "authorization"), lambda secret: [b"Bearer " + secret], secrets):
        raise wrong("authorization")
    return Proven(f"{digest(body)}-{int(now.timestamp() // SAME.total_seconds())}")


def interpret(headers: Headers, body: bytes) -> Meaning:
    event = read(_Event, document(headers, body))
    if left := [value for _, value in event if value.startswith("${")]:
        raise UnreadableError(f"{left[0]} was sent unfilled: this automation's event does not have it")
    thing = "/".join((event.entity_name, event.project_name, event.artifact_collection_name))
    match event.event_type:
        case "ADD_ARTIFACT_ALIAS" if event.alias:
            return Change(thing, {f"alias {event.alias}": event.artifact_version_string})
        case "ADD_ARTIFACT_ALIAS":
            raise UnreadableError("/alias: ADD_ARTIFACT_ALIAS has one; paste the template again")
        case "LINK_ARTIFACT":
            return Change(thing, {"linked": event.artifact_version_string})
        case other:
            return Nothing(f"{other} tells nothing of a linked artifact or an alias")


def sample(secret: str, now: datetime) -> Sample:
    version = "hallmark/test/model:v1"
    values = ("ADD_ARTIFACT_ALIAS", "", "champion", "v1", version, "model", "test", "hallmark")
    body = json.dumps(dict(zip(VARIABLES, values, strict=True)) | {"sent_by": f"test at {now.isoformat()}"}).encode()
    signed = signature(secret.encode(), body)[0].decode()
    return Sample({"content-type": "application/json", SIGNATURE: signed}, body)


def setup(url: str, secret: str) -> Setup:
    steps = (
        "Team settings, Team secrets: add a secret HALLMARK with the value below.",
        "Team settings, Webhooks: add one with this address; access token and secret: HALLMARK.",
        "Registry, Automations: for 'An artifact alias is added' and 'A new version of an artifact is linked' choose "
        "this webhook, and paste the body below unchanged.",
        "W&B sends no event for an alias that is removed, and neither an id nor a time.",
    )
    return Setup(steps, {"Webhook URL": url, "Secret": secret, "Body of the automation": TEMPLATE})


RECEIVER: Final = Receiver(
    title="Weights & Biases", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent", SIGNATURE),
)  # fmt: skip
