"""An approved version as a KServe InferenceService (serving.kserve.io/v1beta1; formats.md, section 6). Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import yaml
from registry_core.values import parse_ref, sha256_digest
from registry_core.version import Approval, Version

REF, DIGEST, PROMOTION, CONTEXT = (
    f"hallmark.io/{name}" for name in ("model-version", "digest", "promotion", "use-context")
)
CUSTOMER_HEADER: Final = "x-hallmark-customer"
"""Request header whose value names the customer; the logger passes it on."""
LOGGER_URL: Final = "http://kafka-sink-ingress.knative-eventing.svc.cluster.local/hallmark/serving-inference"
"""A Knative KafkaSink (namespace `hallmark`, name `serving-inference`) that writes to the topic `serving.inference`."""

_FORMATS: Final[Mapping[str, str]] = {
    "skops": "sklearn",
    "joblib": "sklearn",
    "pickle": "sklearn",
    "safetensors": "huggingface",
    "gguf": "huggingface",
    "torch": "pytorch",
    "pt": "pytorch",
}
"""KServe's names where they differ from the registry's."""
_LABEL: Final = 63
"""Longest DNS label (RFC 1123)."""


class NotDeployableError(ValueError):
    """The version cannot be served as it is; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    namespace: str
    content: bytes
    """YAML."""

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.namespace, f"{self.name}.yaml")

    @property
    def digest(self) -> str:
        return sha256_digest(self.content)


def inference_service(version: Version, approval: Approval, logger_url: str = LOGGER_URL) -> Manifest:
    """One service per version, use context and environment; a renewed approval gives the same name.

    The logger passes the annotations on, for KServe's inference events carry neither version nor digest of their own
    (integrations.md). Raises NotDeployableError.
    """
    name, namespace = _name(version, approval), namespace_of(approval.environment)
    annotations = {
        REF: version.ref,
        DIGEST: version.digest,
        PROMOTION: approval.promotion,
        CONTEXT: str(approval.context),
    }
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "hallmark"},
            "annotations": {"serving.kserve.io/deploymentMode": "Standard", **annotations},
        },
        "spec": {
            "predictor": {
                "model": {"modelFormat": {"name": _format(version)}, **_storage(version)},
                "logger": {
                    "mode": "all",
                    "url": logger_url,
                    "metadataAnnotations": list(annotations),
                    "metadataHeaders": [CUSTOMER_HEADER],
                },
            }
        },
    }
    return Manifest(name, namespace, yaml.safe_dump(document, sort_keys=False).encode())


def namespace_of(environment: str) -> str:
    """The Kubernetes namespace that stands for an environment."""
    return _slug(environment)[:_LABEL].strip("-") or "default"


def _name(version: Version, approval: Approval) -> str:
    """Readable, a DNS label short enough for KServe's suffixes, and unlike that of any other version or use."""
    kind, name, number = parse_ref(version.ref)
    identity = "\n".join((kind, version.ref, approval.environment, str(approval.context)))
    readable = _slug(f"{name}-{number}")[:36].strip("-")
    return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _format(version: Version) -> str:
    if not version.format:
        raise NotDeployableError(f"{version.ref} names no format; register a version with `format`, e.g. sklearn")
    return _FORMATS.get(version.format.lower(), version.format.lower())


def _storage(version: Version) -> dict[str, Any]:
    """Where the files are: one `storageUri`, or each file at its own place (KServe 0.16, `storageUris`)."""
    missing = [file.name for file in version.files if file.name not in version.stored]
    if missing:
        raise NotDeployableError(f"not in the artifact store: {', '.join(missing)}; upload them")
    if len(version.files) == 1:
        return {"storageUri": version.stored[version.files[0].name]}
    return {
        "storageUris": [
            {"uri": version.stored[file.name], "mountPath": f"/mnt/models/{file.name}"} for file in version.files
        ]
    }
