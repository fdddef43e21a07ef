"""SLSA v1 provenance (https://slsa.dev/provenance/v1) in an in-toto Statement v1, signed as DSSE with Ed25519."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events.base import NAMESPACE, derived_id
from registry_core.proofs.dsse import IN_TOTO, sign

from hallmark_demo.pipeline.artifacts import LocalFile, digest_of

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
BUILDER_ID = "https://ci.bank.example/hallmark-demo"
"""Whom a policy trusts together with the key; `.example` is reserved (RFC 2606), no such host exists."""
TRAINING = f"{BUILDER_ID}/build-types/scikit-learn-training/v1"
IMPORT = f"{BUILDER_ID}/build-types/package-import/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How the files came to be. `materials` are `sha256:` digests by URI, None where only a package URL is known."""

    build_type: str
    parameters: Mapping[str, object]
    materials: Mapping[str, str | None]
    started: datetime
    finished: datetime


def provenance_statement(files: Iterable[LocalFile], build: Build) -> dict[str, object]:
    """The unsigned statement: every file is a subject."""
    subjects = tuple(files)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f.file.name, "digest": _digest(f.file.digest)} for f in subjects],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": build.build_type,
                "externalParameters": dict(build.parameters),
                "resolvedDependencies": [_material(uri, digest) for uri, digest in build.materials.items()],
            },
            "runDetails": {"builder": {"id": BUILDER_ID}, "metadata": _run(subjects, build)},
        },
    }


def signed_provenance(files: Iterable[LocalFile], build: Build, key: Ed25519PrivateKey) -> dict[str, object]:
    """The statement in a DSSE envelope."""
    payload = json.dumps(provenance_statement(files, build), separators=(",", ":"), allow_nan=False).encode()
    return sign(payload, IN_TOTO, key)


def _digest(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _material(uri: str, digest: str | None) -> dict[str, object]:
    return {"uri": uri, "digest": _digest(digest)} if digest else {"uri": uri}


def _run(subjects: tuple[LocalFile, ...], build: Build) -> dict[str, str]:
    started, finished = build.started.isoformat(), build.finished.isoformat()
    invocation = derived_id(NAMESPACE, "build", build.build_type, digest_of(subjects), started)
    return {"invocationId": invocation.urn, "startedOn": started, "finishedOn": finished}
