"""Events in, jobs out: nothing here reads a hostile file inside a poll."""

from collections.abc import Sequence

from registry_core.events import RecordedEvent
from registry_core.events.evidence import EvidenceAttached
from registry_core.events.governance import AdvisoryPublished, SigningKeyRegistered
from registry_core.events.versions import ArtifactStored
from registry_core.handlers import Effect, Execute, Reader, StartJob
from registry_core.values import EvidenceType

SCAN, MATCH_SBOM, VERIFY_PROVENANCE, MATCH_ADVISORY = "scan", "match-sbom", "verify-provenance", "match-advisory"
_JOBS = {EvidenceType.SBOM: MATCH_SBOM, EvidenceType.PROVENANCE: VERIFY_PROVENANCE}


async def scan_stored_artifact(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    data = event.data
    assert isinstance(data, ArtifactStored)
    return [StartJob(SCAN, {"ref": data.ref, "file": data.file.name, "digest": data.file.digest})]


async def check_evidence(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    data = event.data
    assert isinstance(data, EvidenceAttached)
    job = _JOBS.get(data.evidence_type)
    return [StartJob(job, {"ref": data.ref, "digest": data.digest})] if job else []


async def match_published_advisory(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Ahead of scans: somebody serves with what it speaks of."""
    data = event.data
    assert isinstance(data, AdvisoryPublished)
    return [StartJob(MATCH_ADVISORY, {"advisory": data.advisory, "digest": data.digest}, priority=10)]


async def trust_key(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    data = event.data
    assert isinstance(data, SigningKeyRegistered)
    if data.purpose != "provenance":
        return []
    return [
        Execute("insert into work.scanner_keys values ($1, $2) on conflict do nothing", (data.key_id, data.public_key))
    ]
