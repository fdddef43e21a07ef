"""Hugging Face's webhooks (v3): the secret itself comes in `X-Webhook-Secret`, so TLS is needed.

There is no delivery id and no time. A delivery is known again by the repository, the references that moved and their
SHAs; it is a hint, and the hub is asked what is there.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import StringConstraints

from hallmark_ingestion.external.huggingface_state import announced
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
    digest,
    document,
    json_of,
    matches,
    read,
    required,
    wrong,
)

PROOF: Final = "x-webhook-secret"
SCOPES: Final = ("repo", "repo.content", "repo.config")


class _What(Part):
    action: Annotated[str, StringConstraints(max_length=64)]
    scope: Annotated[str, StringConstraints(max_length=64)]


class _Repo(Part):
    type: Literal["model", "dataset", "space"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$", max_length=256)]


class _Event(Part):
    event: _What
    repo: _Repo


def verify(headers: Headers, body: bytes, secrets: Secrets, _now: datetime) -> Proven:
    if not matches(required(headers, PROOF), lambda secret: [secret], secrets):
        raise wrong(PROOF)
    return Proven(_key(body))


def _key(body: bytes) -> str:
    """What it is about, in one digest; of a body that names no moved reference the whole of it."""
    found = json_of(body)
    moved = found.get("updatedRefs") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not moved:
        return digest(body)
    repo: Any = found.get("repo")
    about = [repo.get("id") if isinstance(repo, dict) else None, moved]
    return digest(json.dumps(about, sort_keys=True).encode())


def interpret(headers: Headers, body: bytes) -> Meaning:
    event = read(_Event, document(headers, body))
    if event.event.scope not in SCOPES:
        return Nothing(f"{event.event.scope} changes no content of {event.repo.name}")
    if event.repo.type != "model":
        return Nothing(f"{event.repo.name} is a {event.repo.type}; models are followed")
    return Hint(event.repo.name, announced(event.event.action, event.event.scope))


def sample(secret: str, now: datetime) -> Sample:
    sha = digest(now.isoformat().encode())[:40]
    event = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": "hallmark/test", "id": "hallmark-test", "private": True, "headSha": sha},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": None, "newSha": sha}],
        "webhook": {"id": "hallmark-test", "version": 3},
    }
    return Sample({"content-type": "application/json", PROOF: secret}, json.dumps(event).encode())


def setup(url: str, secret: str) -> Setup:
    steps = (
        "Open https://huggingface.co/settings/webhooks (or the settings of your Enterprise hub) and choose "
        "'Add a new webhook'.",
        "Watch the models and datasets, or their owners; triggers: repo update.",
        "Paste address and secret. The secret itself travels with each delivery, so use an https address only.",
    )
    return Setup(steps, {"Webhook URL": url, "Secret": secret})


RECEIVER: Final = Receiver(
    title="Hugging Face", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent"),
)  # fmt: skip
