"""The whole CI job: one call builds a model version and all its evidence in a folder.

What needs scikit-learn or the model's weights is imported inside the functions, so that a command line that only
offers these builds starts at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallmark_demo.pipeline import model_card, model_files, provenance, sbom
from hallmark_demo.pipeline.artifacts import LocalFile
from hallmark_demo.pipeline.evidence import Candidate, Clock, Evidence, Job, utc_now, write_evidence
from hallmark_demo.pipeline.prompts import PromptTemplate, prompt_template


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A version ready to register and the evidence to attach; `timings` are seconds by step."""

    name: str
    version: str
    ref: str
    format: str
    files: tuple[LocalFile, ...]
    digest: str
    """What the registered version's checksum will be."""
    metrics: Mapping[str, float]
    evidence: Evidence
    depends_on: Mapping[str, str]
    """Digests of the prompt or dataset it was evaluated with, by reference."""
    dataset_files: tuple[LocalFile, ...] = ()
    """The files of the dataset version in `depends_on`, where this job made it."""
    pickle: LocalFile | None = None
    """The same model as joblib, to show what a scan says of a pickle. Not among `files`."""
    timings: Mapping[str, float]


def build_classifier(
    folder: Path,
    *,
    key: Ed25519PrivateKey,
    name: str = "progression-classifier",
    version: str = "1.0.0",
    seed: int = 0,
    regularisation: float = 1.0,
    extra_library: sbom.Library | None = None,
    clock: Clock = utc_now,
) -> BuiltModel:
    """Train, measure and document the classifier. `key` is the CI job's own and signs the provenance.

    `seed` and `regularisation` make versions that really differ (`training.Hyperparameters` tells how).
    """
    job = _job(folder, key, clock, extra_library)
    with job.step("import"):
        from hallmark_demo.pipeline.classifier import make_classifier  # noqa: PLC0415 - takes a second, see above
    made = make_classifier(job, name=name, version=version, seed=seed, regularisation=regularisation)
    return _built(job, made.candidate, "skops", dataset_files=made.dataset_files, pickle=made.pickle)


def build_embedding(
    folder: Path,
    *,
    key: Ed25519PrivateKey,
    name: str = model_files.MODEL_NAME,
    version: str = "1.0.0",
    prompt_version: str = "1.0.0",
    extra_library: sbom.Library | None = None,
    clock: Clock = utc_now,
) -> BuiltModel:
    """Measure and document the real embedding model with a prompt template; its files stay in the package."""
    job = _job(folder, key, clock, extra_library)
    candidate = _import_embedding(job, name, version, prompt_template(prompt_version))
    return _built(job, candidate, "safetensors")


def _job(folder: Path, key: Ed25519PrivateKey, clock: Clock, extra_library: sbom.Library | None) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    return Job(folder=folder, key=key, clock=clock, extra_library=extra_library)


def _import_embedding(job: Job, name: str, version: str, prompt: PromptTemplate) -> Candidate:
    started = job.clock()
    with job.step("import"):
        from hallmark_demo.pipeline.embedding_evaluation import evaluate  # noqa: PLC0415 - takes a second, see above
    with job.step("files"):
        files = model_files.embedding_files()
    with job.step("evaluation"):
        measured = evaluate(model_files.model_folder(), files, prompt)
    return Candidate(
        name=name,
        version=version,
        task="sentence-similarity",
        files=files,
        card=model_card.EMBEDDING,
        measured=measured,
        depends_on={prompt.ref: prompt.content.file.digest},
        build=provenance.Build(
            build_type=provenance.IMPORT,
            parameters={"package": model_files.PACKAGE, "upstream": model_files.UPSTREAM},
            materials=sbom.purls(model_files.PACKAGE),
            started=started,
            finished=job.clock(),
        ),
    )


def _built(
    job: Job,
    candidate: Candidate,
    model_format: str,
    *,
    dataset_files: tuple[LocalFile, ...] = (),
    pickle: LocalFile | None = None,
) -> BuiltModel:
    return BuiltModel(
        name=candidate.name,
        version=candidate.version,
        ref=candidate.ref,
        format=model_format,
        files=candidate.files,
        digest=candidate.digest,
        metrics=candidate.measured.metrics,
        evidence=write_evidence(job, candidate),
        depends_on=candidate.depends_on,
        dataset_files=dataset_files,
        pickle=pickle,
        timings=job.timings,
    )
