"""Evaluation evidence in, assessments out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from registry_core.events import RecordedEvent
from registry_core.events.evidence import EvaluationAssessed, EvidenceAttached
from registry_core.events.versions import MetadataAmended
from registry_core.handlers import Effect, Emit, Handlers, Reader, StartJob, fold, load
from registry_core.messaging.jobs import JobFunction
from registry_core.problems import Problem
from registry_core.values import EvidenceType, sha256_digest
from registry_core.version import Version

from hallmark_evaluator.domain import assess, superseded, unusable
from hallmark_evaluator.report import Report, ReportError, check_media_type, parse_report

ASSESS: Final = "assess"


class Documents(Protocol):
    """Evidence by digest."""

    async def get(self, digest: str) -> bytes:
        """Raises Problem when it is not there or too large."""
        ...


async def start_assessment(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A new evaluation report is to be assessed."""
    data = event.data
    assert isinstance(data, EvidenceAttached)
    return [_job(data)] if data.evidence_type == EvidenceType.EVALUATION else []


async def reassess_for_new_tier(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A changed risk tier has other thresholds: the reports that stand are held against those."""
    data = event.data
    assert isinstance(data, MetadataAmended)
    (events,) = await reader.read(event.stream)
    before = fold(Version(), (e for e in events if e.version < event.version))
    if before.metadata.risk_tier == data.metadata.risk_tier:
        return []
    standing = {item.evidence_digest for item in before.evaluations.values()}
    return [_job(item) for item in before.of_type(EvidenceType.EVALUATION) if item.digest in standing]


HANDLERS: Final[Handlers] = {EvidenceAttached: start_assessment, MetadataAmended: reassess_for_new_tier}


def _job(evidence: EvidenceAttached) -> StartJob:
    return StartJob(ASSESS, evidence.model_dump(mode="json", include={"ref", "digest", "media_type"}))


def assessing(documents: Documents) -> JobFunction:
    """The job that reads a report and assesses it."""

    async def assess_evaluation(payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        version = await load(reader, Version(), payload["ref"])
        made = await _assessment(version, payload, reader, documents)
        if superseded(version, made.suite, made.evidence_digest):
            return []
        return [Emit(version.ref, [made], expected=version.version)]

    return assess_evaluation


async def _assessment(
    version: Version, payload: Mapping[str, Any], reader: Reader, documents: Documents
) -> EvaluationAssessed:
    digest = payload["digest"]
    try:
        check_media_type(payload["media_type"])
        report = parse_report(await _document(documents, digest))
    except ReportError as error:
        return unusable(version.ref, error, evidence_digest=digest, now=reader.now)
    registered = await _registered(report, reader)
    return assess(report, version, evidence_digest=digest, registered=registered, now=reader.now)


async def _document(documents: Documents, digest: str) -> bytes:
    try:
        data = await documents.get(digest)
    except Problem as error:  # what is absent or too large stays so; any other failure is tried again
        raise ReportError(f"the report cannot be read: {error.detail}; attach it again") from error
    if sha256_digest(data) != digest:
        raise ReportError("the stored report has another digest than was attached; attach it again")
    return data


async def _registered(report: Report, reader: Reader) -> dict[str, str]:
    refs = list(report.dependencies)
    versions = [fold(Version(), events) for events in await reader.read(*refs)] if refs else []
    return {version.ref: version.digest for version in versions if version.exists}
