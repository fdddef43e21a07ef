"""What a version may hold, so that every decision about it fits into the log."""

from dataclasses import replace

import pytest
from hallmark_ingestion.domain import MOST_EVIDENCE, MOST_FILES, RegisterVersion, room_for_evidence
from pydantic import ValidationError
from registry_core.events.evidence import EvidenceAttached
from registry_core.problems import Problem
from registry_core.values import EvidenceType, File, sha256_digest
from registry_core.version import Version

REF, DIGEST = "model:m@1.0.0", sha256_digest(b"x")
EVIDENCE = EvidenceAttached(
    ref=REF, evidence_type=EvidenceType.RED_TEAM, digest=DIGEST, media_type="text/plain", size=1,
    subject_digest=DIGEST, attached_by="ci",
)  # fmt: skip


def test_more_files_than_policies_read_are_refused_at_registration() -> None:
    files = tuple(File(name=f"f{n}", digest=DIGEST) for n in range(MOST_FILES + 1))
    assert len(RegisterVersion(ref=REF, files=files[:-1]).files) == MOST_FILES
    with pytest.raises(ValidationError, match="at most 1000 items"):
        RegisterVersion(ref=REF, files=files)


def test_evidence_beyond_what_a_decision_names_is_refused_with_a_way_on() -> None:
    room_for_evidence(Version(ref=REF, evidence=(EVIDENCE,) * (MOST_EVIDENCE - 1)))
    with pytest.raises(Problem, match="500 documents") as refused:
        room_for_evidence(replace(Version(ref=REF), evidence=(EVIDENCE,) * MOST_EVIDENCE))
    assert refused.value.status == 409
