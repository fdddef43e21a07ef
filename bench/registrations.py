"""CloudEvents as a pipeline sends them: each registers a version of its own."""

import json
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

METADATA = {
    "owner": "dana",
    "backup_owner": "lee",
    "purpose": "Estimates the probability that a loan is repaid",
    "licence": "Apache-2.0",
    "risk_tier": "high",
    "source_repository": "https://git.example.org/lending/credit-risk",
    "source_commit": "0123456789abcdef0123456789abcdef01234567",
}
MODELS = 64
"""Over which the versions are spread."""


def registrations() -> Iterator[bytes]:
    """Structured events without end, none of which was ever sent before."""
    run = uuid4().hex[:12]
    for number in count():
        data = {
            "ref": f"model:m{number % MODELS}-{run}@1.0.{number}",
            "digest": "sha256:" + f"{number:064x}",
            "metadata": METADATA,
        }
        named = {"id": f"{run}-{number}", "source": "urn:ci", "type": "io.hallmark.register-version.v1"}
        yield json.dumps({"specversion": "1.0", **named, "data": data}).encode()
