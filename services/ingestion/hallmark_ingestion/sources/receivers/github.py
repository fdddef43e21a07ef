"""GitHub's webhooks: `X-Hub-Signature-256` is HMAC-SHA256 over the raw body.

The signature covers neither the delivery id nor the event's name, so the body decides what it is, and what a body
brings about is the same however often it comes. There is no time of sending.
"""

import hmac
import json
import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints
from registry_core.values import LONGEST_REF, SEMVER

from hallmark_ingestion.sources.receivers.base import (
    Change,
    Headers,
    Meaning,
    Nothing,
    Part,
    Proven,
    Receiver,
    Release,
    Sample,
    Secrets,
    Setup,
    UnreadableError,
    digest,
    document,
    matches,
    read,
    required,
    time_of,
    wrong,
)

SIGNATURE, ID, EVENT = "x-hub-signature-256", "x-github-delivery", "x-github-event"
_TAG = re.compile(rf"v?(?P<version>{SEMVER})")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
Line = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Repository(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    full_name: Line
    html_url: Line


class _Asset(Part):
    name: Line
    size: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    digest: str | None = None
    """`sha256:<hex>`; null for assets uploaded before June 2025."""


class _Released(Part):
    tag_name: Line
    html_url: Line
    draft: bool = False
    target_commitish: str = ""
    published_at: str | None = None
    assets: Annotated[tuple[_Asset, ...], Field(max_length=1000)] = ()


class _Run(Part):
    id: int
    name: str | None = None
    head_branch: str | None = None
    head_sha: Line
    conclusion: str | None = None
    run_attempt: int = 1
    html_url: Line
    updated_at: str | None = None


class _Release(Part):
    action: str
    repository: _Repository
    release: _Released


class _WorkflowRun(Part):
    action: str
    repository: _Repository
    workflow_run: _Run


def signature(secret: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()


def verify(headers: Headers, body: bytes, secrets: Secrets, _now: datetime) -> Proven:
    if not matches(required(headers, SIGNATURE), lambda secret: [signature(secret, body)], secrets):
        raise wrong(SIGNATURE)
    return Proven(digest(body))  # the signature covers no delivery id, so another one makes no other delivery


def interpret(headers: Headers, body: bytes) -> Meaning:
    found = document(headers, body)
    if "workflow_run" in found:
        return _of_run(read(_WorkflowRun, found))
    if "release" in found:
        return _of_release(read(_Release, found))
    if "zen" in found:
        return Nothing("GitHub says that the webhook is there")
    return Nothing(f"{headers.get(EVENT, 'this event')[:64]} is neither a release nor a workflow run")


def _of_run(event: _WorkflowRun) -> Meaning:
    run = event.workflow_run
    if event.action != "completed":
        return Nothing(f"run {run.id} is {event.action[:64]}, not completed")
    after = {
        "conclusion": run.conclusion or "none", "run": run.id, "attempt": run.run_attempt, "commit": run.head_sha,
        "url": run.html_url,
    }  # fmt: skip
    aspect = f"workflow {run.name or run.id} on {run.head_branch or 'no branch'}"[:512]
    return Change(event.repository.full_name, {aspect: after}, time_of(run.updated_at))


def _of_release(event: _Release) -> Meaning:
    release = event.release
    if event.action != "published" or release.draft:
        return Nothing(f"the release {release.tag_name} was {event.action[:64]}, which publishes nothing")
    tag = _TAG.fullmatch(release.tag_name)
    if tag is None:
        return Nothing(f"the tag {release.tag_name} is no semantic version such as v1.2.3, so it names no version")
    if not release.assets:
        return Nothing(f"the release {release.tag_name} has no assets; a tag alone has no content of its own")
    ref = f"code:{event.repository.name}@{tag['version']}"
    if len(ref) > LONGEST_REF:
        raise UnreadableError(f"{ref[:LONGEST_REF]} is longer than {LONGEST_REF} characters")
    return Release(_registration(ref, event), time_of(release.published_at))


def _registration(ref: str, event: _Release) -> dict[str, Any]:
    """Raises UnreadableError where GitHub gives no digest: what was released could not be told."""
    release = event.release
    if bare := [asset.name for asset in release.assets if not (asset.digest or "").startswith("sha256:")]:
        raise UnreadableError(
            f"GitHub gives no SHA-256 of {', '.join(bare[:10])}; upload these assets anew, or register the release "
            f"with `hallmark register {ref} FILE…`"
        )
    commit = release.target_commitish
    metadata = {"source_repository": event.repository.html_url}
    return {
        "ref": ref,
        "files": [{"name": a.name, "digest": a.digest, "size": a.size} for a in release.assets],
        "metadata": metadata | ({"source_commit": commit} if _COMMIT.fullmatch(commit) else {}),
    }


def sample(secret: str, now: datetime) -> Sample:
    repository = {"name": "test", "full_name": "hallmark/test", "html_url": "https://github.com/hallmark/test"}
    asset = {"name": "test.bin", "size": 0, "digest": f"sha256:{digest(b'')}"}
    release = {
        "tag_name": "v0.0.1", "html_url": "https://github.com/hallmark/test/releases/v0.0.1", "draft": False,
        "target_commitish": "main", "published_at": now.isoformat(), "assets": [asset],
    }  # fmt: skip
    body = json.dumps({"action": "published", "repository": repository, "release": release}).encode()
    headers = {
        "content-type": "application/json", ID: "hallmark-test", EVENT: "release",
        SIGNATURE: signature(secret.encode(), body).decode(),
    }  # fmt: skip
    return Sample(headers, body)


def setup(url: str, secret: str) -> Setup:
    steps = (
        "Repository or organisation, Settings, Webhooks, 'Add webhook'.",
        "Content type: application/json. Leave SSL verification on.",
        "'Let me select individual events': Releases and Workflow runs; take the tick from Pushes.",
    )
    return Setup(steps, {"Payload URL": url, "Secret": secret})


RECEIVER: Final = Receiver(
    title="GitHub", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent", ID, EVENT, SIGNATURE),
)  # fmt: skip
