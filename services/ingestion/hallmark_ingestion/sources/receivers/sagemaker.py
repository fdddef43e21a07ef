"""Amazon SageMaker's model registry through an EventBridge API destination.

EventBridge signs nothing: its connection sends a secret in a header, so TLS is needed. It tries again for 24 hours with
the same id, and may send several events per change; one that says what is known changes nothing.
"""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

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
    digest,
    document,
    json_of,
    matches,
    plain_key,
    read,
    required,
    time_of,
    wrong,
)

PROOF: Final = "x-hallmark-secret"
DETAIL_TYPE: Final = "SageMaker Model Package State Change"
WINDOW: Final = timedelta(hours=25)
Line = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Container(Part):
    image_digest: Annotated[str | None, Field(alias="ImageDigest", max_length=128)] = None
    model_data_url: Annotated[str | None, Field(alias="ModelDataUrl", max_length=1024)] = None


class _Specification(Part):
    containers: Annotated[tuple[_Container, ...], Field(alias="Containers", max_length=15)] = ()


class _Package(Part):
    group: Annotated[str, Field(alias="ModelPackageGroupName", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$")]
    number: Annotated[int, Field(alias="ModelPackageVersion", ge=1, lt=2**63)]
    arn: Annotated[Line, Field(alias="ModelPackageArn")]
    status: Annotated[Literal["Approved", "Rejected", "PendingManualApproval"], Field(alias="ModelApprovalStatus")]
    specification: Annotated[_Specification, Field(alias="InferenceSpecification")] = _Specification()


class _Event(Part):
    source: Literal["aws.sagemaker"]
    detail_type: Annotated[Line, Field(alias="detail-type")]
    detail: dict[str, Any]
    time: str | None = None


def verify(headers: Headers, body: bytes, secrets: Secrets, _now: datetime) -> Proven:
    if not matches(required(headers, PROOF), lambda secret: [secret], secrets):
        raise wrong(PROOF)
    found = json_of(body)
    event = found if isinstance(found, dict) else {}
    identity = event.get("id")
    return Proven(plain_key(identity) if isinstance(identity, str) else digest(body), time_of(event.get("time")))


def interpret(headers: Headers, body: bytes) -> Meaning:
    event = read(_Event, document(headers, body))
    if event.detail_type != DETAIL_TYPE:
        return Nothing(f"{event.detail_type} says nothing of a model package")
    package = read(_Package, event.detail)
    after: dict[str, Any] = {f"approval of version {package.number}": package.status}
    if content := [c.model_dump(exclude_none=True) for c in package.specification.containers]:
        after[f"version {package.number}"] = {"arn": package.arn, "containers": content}
    return Change(package.group, after, time_of(event.time))


def sample(secret: str, now: datetime) -> Sample:
    arn = "arn:aws:sagemaker:eu-central-1:000000000000:model-package/hallmark-test/1"
    detail = {
        "ModelPackageGroupName": "hallmark-test", "ModelPackageVersion": 1, "ModelPackageArn": arn,
        "ModelApprovalStatus": "Approved", "ModelPackageStatus": "Completed",
    }  # fmt: skip
    event = {
        "version": "0", "id": digest(now.isoformat().encode())[:32], "detail-type": DETAIL_TYPE,
        "source": "aws.sagemaker", "time": now.isoformat(), "resources": [arn], "detail": detail,
    }  # fmt: skip
    return Sample({"content-type": "application/json", PROOF: secret}, json.dumps(event).encode())


def setup(url: str, secret: str) -> Setup:
    pattern = {"source": ["aws.sagemaker"], "detail-type": [DETAIL_TYPE]}
    commands = (
        "aws events create-connection --name hallmark --authorization-type API_KEY \\\n"
        f"  --auth-parameters 'ApiKeyAuthParameters={{ApiKeyName=X-Hallmark-Secret,ApiKeyValue={secret}}}'\n"
        "aws events create-api-destination --name hallmark --http-method POST \\\n"
        f"  --connection-arn <ConnectionArn of the answer above> --invocation-endpoint {url}\n"
        f"aws events put-rule --name hallmark --event-pattern '{json.dumps(pattern)}'\n"
        "aws events put-targets --rule hallmark \\\n"
        "  --targets Id=hallmark,Arn=<ApiDestinationArn>,RoleArn=<role that may events:InvokeApiDestination>\n"
    )
    steps = (
        "Run the lines below in the account and region of the model registry.",
        "EventBridge takes https addresses alone, and sends the event whole: set no input transformer.",
        "Give the target a dead-letter queue: after 24 hours EventBridge gives up.",
    )
    return Setup(steps, {"Shell": commands})


RECEIVER: Final = Receiver(
    title="Amazon SageMaker", verify=verify, interpret=interpret, sample=sample, setup=setup,
    kept=("content-type", "user-agent"), window=WINDOW,
)  # fmt: skip
