"""The documents that accompany a model version: SBOM, signed provenance, evaluation report, model card."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallmark_demo.pipeline import model_card, provenance, sbom
from hallmark_demo.pipeline.artifacts import LocalFile, digest_of, write_json
from hallmark_demo.pipeline.report import Measurements, evaluation_report

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a real run; tests bring their own."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where and as whom the CI job runs. `extra_library` joins what the SBOM finds installed; `timings` in seconds."""

    folder: Path
    key: Ed25519PrivateKey
    clock: Clock
    extra_library: sbom.Library | None
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        yield
        self.timings[name] = time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that has been made and measured, and lacks only its documents."""

    name: str
    version: str
    task: str
    files: tuple[LocalFile, ...]
    card: model_card.CardText
    measured: Measurements
    depends_on: Mapping[str, str]
    """Digests of the prompt or dataset it was measured with, by reference."""
    build: provenance.Build

    @property
    def ref(self) -> str:
        """Its reference in the registry."""
        return f"model:{self.name}@{self.version}"

    @property
    def digest(self) -> str:
        """Its checksum in the registry."""
        return digest_of(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where the documents lie; their media types are constants of the modules that make them."""

    evaluation: Path
    sbom: Path
    provenance: Path
    model_card: Path


def write_evidence(job: Job, candidate: Candidate) -> Evidence:
    """Write all four documents into the job's folder."""
    return Evidence(
        sbom=_write_sbom(job, candidate),
        provenance=_write_provenance(job, candidate),
        evaluation=_write_report(job, candidate),
        model_card=_write_card(job, candidate),
    )


def _write_sbom(job: Job, candidate: Candidate) -> Path:
    described = sbom.DescribedModel(
        name=candidate.name,
        version=candidate.version,
        licence=candidate.card.licence,
        task=candidate.task,
        files=candidate.files,
        metrics=candidate.measured.metrics,
    )
    with job.step("sbom"):
        libraries = (*sbom.installed_libraries(), *filter(None, [job.extra_library]))
        return write_json(job.folder / "sbom.cdx.json", sbom.build_sbom(described, libraries, now=job.clock()))


def _write_provenance(job: Job, candidate: Candidate) -> Path:
    with job.step("provenance"):
        envelope = provenance.signed_provenance(candidate.files, candidate.build, job.key)
        return write_json(job.folder / "provenance.dsse.json", envelope)


def _write_report(job: Job, candidate: Candidate) -> Path:
    with job.step("report"):
        report = evaluation_report(
            candidate.measured,
            subject_digest=candidate.digest,
            dependencies=candidate.depends_on,
            evaluated_at=candidate.build.finished,
        )
        return write_json(job.folder / "evaluation.json", report)


def _write_card(job: Job, candidate: Candidate) -> Path:
    path = job.folder / "model-card.md"
    with job.step("model card"):
        card = model_card.model_card(
            candidate.card,
            ref=candidate.ref,
            digest=candidate.digest,
            measured=candidate.measured,
            ran_with=candidate.depends_on,
        )
        path.write_text(card, encoding="utf-8")
    return path
