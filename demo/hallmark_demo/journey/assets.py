"""What the pipeline hands to the registry: versions with their evidence."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hallmark.client import Client

from hallmark_demo.journey.telling import Teller
from hallmark_demo.pipeline import model_card, provenance, report, sbom
from hallmark_demo.pipeline.artifacts import LocalFile, total_size
from hallmark_demo.pipeline.build import BuiltModel

CONTEXT: Final = {"business_function": "care-planning", "data_class": "clinical", "region": "eu"}
OTHER_CONTEXT: Final = {"business_function": "marketing", "data_class": "internal", "region": "us"}


def metadata(name: str, depends_on: Iterable[str], tier: str = "high") -> dict[str, Any]:
    """All that promotion demands of a model."""
    return {
        "owner": "dana",
        "backup_owner": "mia",
        "escalation": "ml-on-call@example.org",
        "purpose": f"{name}: flags patients whose disease is likely to progress, for a nurse to call",
        "allowed_uses": [CONTEXT["business_function"]],
        "prohibited_uses": ["insurance pricing"],
        "licence": "Apache-2.0",
        "risk_tier": tier,
        "mitigations": [{"risk": "missed patients", "control": "a nurse reviews a weekly sample"}],
        "depends_on": list(depends_on),
        "source_repository": "https://git.example.org/care/progression",
        "source_commit": "0f4c2a9d3b6e81c57a2f9b04d8c6e1357f902b4d",
        "deployment_targets": ["production"],
        "retire_on": (datetime.now(UTC) + timedelta(days=365)).isoformat(),
    }


def staged(files: Sequence[LocalFile], folder: Path) -> Path:
    """The files under the names they have in the version, linked, not copied."""
    for file in files:
        link = folder / file.file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(file.path.resolve())
    return folder


def register(
    client: Client, teller: Teller, ref: str, files: Sequence[LocalFile], folder: Path, **more: Any
) -> dict[str, Any]:
    """Register a draft and upload its files under a progress bar."""
    with teller.uploading(ref, total_size(files)) as progress:
        return client.register_version(ref, files=[staged(files, folder)], progress=progress, **more)


def register_model(
    client: Client, teller: Teller, model: BuiltModel, folder: Path, *, files: Sequence[LocalFile] | None = None,
    without: Sequence[str] = (),
) -> str:  # fmt: skip
    """Register a built model with all its evidence, except the types named in `without`."""
    content = files or model.files
    facts = metadata(model.name, model.depends_on)
    register(client, teller, model.ref, content, folder, metadata=facts, format=model.format)
    attach(client, model, without)
    return model.ref


def attach(client: Client, model: BuiltModel, without: Sequence[str] = ()) -> None:
    """SBOM, provenance, evaluation and model card."""
    evidence: Mapping[str, tuple[Path, str]] = {
        "sbom": (model.evidence.sbom, sbom.MEDIA_TYPE),
        "provenance": (model.evidence.provenance, provenance.MEDIA_TYPE),
        "evaluation": (model.evidence.evaluation, report.MEDIA_TYPE),
        "model_card": (model.evidence.model_card, model_card.MEDIA_TYPE),
    }
    for kind, (path, media_type) in evidence.items():
        if kind not in without:
            client.attach_evidence(model.ref, kind, path, media_type)
