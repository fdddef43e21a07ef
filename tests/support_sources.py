"""Deliveries as each kind of source makes them, written here apart from the code that is tested."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

SECRET = "0123456789abcdef-s3cret"
KINDS = ("mlflow", "huggingface", "wandb", "sagemaker", "github", "kserve")
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Sent:
    """Headers and body of one HTTP request."""

    headers: Mapping[str, str]
    body: bytes

    def but(self, **headers: str | None) -> "Sent":
        """With some headers changed, or left out; `_` stands for `-`."""
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return replace(self, headers={name: value for name, value in changed.items() if value is not None})


def mac(secret: str, content: bytes) -> bytes:
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


MODEL = {"name": "credit-risk", "version": "1"}


def mlflow(
    data: Any = None, *, secret: str = SECRET, at: datetime | None = None, delivery: str = "",
    event: str = "model_version.created",
) -> Sent:  # fmt: skip
    entity, _, action = event.partition(".")
    at, delivery = at or datetime.now(UTC), delivery or str(uuid4())
    content = {"entity": entity, "action": action, "timestamp": at.isoformat(), "data": data or MODEL}
    body, stamp = json.dumps(content).encode(), str(int(at.timestamp()))
    signature = "v1," + base64.b64encode(mac(secret, f"{delivery}.{stamp}.".encode() + body)).decode()
    signed = {"x-mlflow-delivery-id": delivery, "x-mlflow-timestamp": stamp, "x-mlflow-signature": signature}
    return Sent({**JSON, **signed}, body)


def huggingface(*, secret: str = SECRET, scope: str = "repo.content", new_sha: str = "b" * 40, **repo: Any) -> Sent:
    content = {
        "event": {"action": "update", "scope": scope},
        "repo": {"type": "model", "name": "acme/bert", "id": "621ffdc036468d709f17434d", "private": False, **repo},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": "a" * 40, "newSha": new_sha}],
        "webhook": {"id": "6390e855e30d9209411de93b", "version": 3},
    }
    return Sent({**JSON, "x-webhook-secret": secret}, json.dumps(content).encode())


def wandb(*, secret: str = SECRET, **values: str) -> Sent:
    content = {
        "event_type": "ADD_ARTIFACT_ALIAS", "event_author": "rosa", "alias": "champion", "artifact_version": "v3",
        "artifact_version_string": "acme/model-registry/Credit:v3", "artifact_collection_name": "Credit",
        "project_name": "model-registry", "entity_name": "acme", **values,
    }  # fmt: skip
    body = json.dumps(content).encode()
    return Sent({**JSON, "x-wandb-signature": base64.b64encode(mac(secret, body)).decode()}, body)


def sagemaker(status: str = "Approved", *, secret: str = SECRET, at: datetime | None = None, number: int = 2) -> Sent:
    """The form of AWS's guide, `Model Package State Change`."""
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/credit/{number}"
    container = {"Image": "1.dkr.ecr/x:1", "ImageDigest": "sha256:4d8b", "ModelDataUrl": "s3://bucket/model.tar.gz"}
    content = {
        "version": "0", "id": str(uuid4()), "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker", "account": "123456789012", "time": (at or datetime.now(UTC)).isoformat(),
        "region": "us-east-1", "resources": [arn],
        "detail": {
            "ModelPackageGroupName": "credit", "ModelPackageVersion": number, "ModelPackageArn": arn,
            "InferenceSpecification": {"Containers": [container]}, "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": status,
        },
    }  # fmt: skip
    return Sent({**JSON, "x-hallmark-secret": secret}, json.dumps(content).encode())


REPOSITORY = {"name": "widget", "full_name": "acme/widget", "html_url": "https://github.com/acme/widget"}


def github(event: str, content: Mapping[str, Any], *, secret: str = SECRET, delivery: str = "") -> Sent:
    body = json.dumps({"repository": REPOSITORY, "sender": {"login": "octocat"}, **content}).encode()
    headers = {
        "x-github-event": event, "x-github-delivery": delivery or str(uuid4()),
        "x-hub-signature-256": "sha256=" + mac(secret, body).hex(),
    }  # fmt: skip
    return Sent({**JSON, **headers}, body)


def release(tag: str = "v1.2.3", *, content: bytes = b"wheel", secret: str = SECRET, **changes: Any) -> Sent:
    asset = {"name": "widget.whl", "size": len(content), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    about = {
        "tag_name": tag, "html_url": f"https://github.com/acme/widget/releases/{tag}", "draft": False,
        "target_commitish": "c" * 40, "published_at": "2026-03-01T12:00:00Z", "assets": [asset], **changes,
    }  # fmt: skip
    return github("release", {"action": "published", "release": about}, secret=secret)


def workflow_run(conclusion: str = "success", *, at: str = "2026-03-01T12:00:00Z", run: int = 30433642) -> Sent:
    about = {
        "id": run, "name": "train", "head_branch": "main", "head_sha": "d" * 40, "conclusion": conclusion,
        "run_attempt": 1, "html_url": f"https://github.com/acme/widget/actions/runs/{run}", "updated_at": at,
    }  # fmt: skip
    return github("workflow_run", {"action": "completed", "workflow_run": about})


def kserve(*, secret: str = SECRET, at: datetime | None = None, **attributes: str) -> Sent:
    """As KServe's logger sends it to an address with a password in it."""
    known = {
        "specversion": "1.0", "id": str(uuid4()), "source": "http://localhost:9081/",
        "type": "org.kubeflow.serving.inference.request", "time": (at or datetime.now(UTC)).isoformat(),
        "inferenceservicename": "credit", "namespace": "production", "annotations": "{}",
        "metadata": '{"X-Hallmark-Customer": ["customer-7"]}', **attributes,
    }  # fmt: skip
    proof = base64.b64encode(f"hallmark:{secret}".encode()).decode()
    return Sent({**JSON, "authorization": f"Basic {proof}", **{f"ce-{k}": v for k, v in known.items()}}, b"{}")


def sent_by(kind: str, *, secret: str = SECRET) -> Sent:
    """One that has an effect."""
    make: Any = {
        "mlflow": mlflow, "huggingface": huggingface, "wandb": wandb, "sagemaker": sagemaker, "github": release,
        "kserve": kserve,
    }[kind]  # fmt: skip
    sent: Sent = make(secret=secret)
    return sent
