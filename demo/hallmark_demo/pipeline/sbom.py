"""CycloneDX 1.6 SBOM of the running environment, with the model as the thing described.

Written as plain JSON: the object model of cyclonedx-python-lib drops a component's `modelCard`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import Distribution, PackageMetadata, distributions, version
from typing import Any
from uuid import UUID

from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from registry_core.events.base import NAMESPACE, derived_id

from hallmark_demo.pipeline.artifacts import LocalFile, digest_of

MEDIA_TYPE = "application/vnd.cyclonedx+json"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A Python distribution in use."""

    name: str
    version: str
    licences: tuple[Json, ...] = ()
    """CycloneDX licence choices: an expression, an SPDX id or a name."""

    @property
    def purl(self) -> str:
        return str(PackageURL("pypi", None, str(canonicalize_name(self.name)), self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedModel:
    """The model that the SBOM is about."""

    name: str
    version: str
    licence: str
    """SPDX id."""
    task: str
    files: tuple[LocalFile, ...]
    metrics: Mapping[str, float]


def installed_libraries() -> tuple[Library, ...]:
    """Every distribution on the path, by name; the first found of a name is the one that Python imports."""
    found: dict[str, Library] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            library = Library(name=name, version=distribution.version, licences=_licences(distribution))
            found.setdefault(str(canonicalize_name(name)), library)
    return tuple(found[name] for name in sorted(found))


def _licences(distribution: Distribution) -> tuple[Json, ...]:
    """What the metadata tells: a PEP 639 expression, else the old licence field if short, else classifiers."""
    metadata = distribution.metadata
    if expression := _field(metadata, "License-Expression"):
        return ({"expression": expression},)
    stated = _field(metadata, "License")
    if stated and "\n" not in stated and stated.upper() != "UNKNOWN":
        return ({"license": {"id": stated} if is_supported_id(stated) else {"name": stated}},)
    classifiers = (c for c in metadata.get_all("Classifier") or () if c.startswith("License :: "))
    return tuple({"license": {"name": c.rsplit(" :: ", 1)[-1]}} for c in classifiers)


def _field(metadata: PackageMetadata, name: str) -> str:
    return next(iter(metadata.get_all(name) or ()), "").strip()


def purls(*names: str) -> dict[str, str | None]:
    """Installed distributions as materials of a build: what is installed no longer tells its archive's digest."""
    return {Library(name=name, version=version(name)).purl: None for name in names}


def build_sbom(model: DescribedModel, libraries: Iterable[Library], *, now: datetime) -> Json:
    """The document as JSON values. The same model, libraries and time give the same document."""
    components = list({library.purl: _component(library) for library in libraries}.values())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": _serial_number(model, now).urn,
        "version": 1,
        "metadata": {"timestamp": now.isoformat(), "tools": _tools(), "component": _model_component(model)},
        "components": components,
        "dependencies": [{"ref": _model_ref(model), "dependsOn": [c["bom-ref"] for c in components]}],
    }


def _serial_number(model: DescribedModel, now: datetime) -> UUID:
    return derived_id(NAMESPACE, "sbom", model.name, model.version, digest_of(model.files), now.isoformat())


def _tools() -> Json:
    return {"components": [{"type": "application", "name": "hallmark-demo", "version": version("hallmark-demo")}]}


def _component(library: Library) -> Json:
    component: Json = {
        "type": "library",
        "bom-ref": library.purl,
        "name": library.name,
        "version": library.version,
        "purl": library.purl,
    }
    return {**component, "licenses": list(library.licences)} if library.licences else component


def _model_ref(model: DescribedModel) -> str:
    return f"model:{model.name}@{model.version}"


def _model_component(model: DescribedModel) -> Json:
    """`hashes` is the version's checksum in the registry; each file's own is on the nested components."""
    return {
        "type": "machine-learning-model",
        "bom-ref": _model_ref(model),
        "name": model.name,
        "version": model.version,
        "hashes": [_hash(digest_of(model.files))],
        "licenses": [{"license": {"id": model.licence}}],
        "components": [{"type": "file", "name": f.file.name, "hashes": [_hash(f.file.digest)]} for f in model.files],
        "modelCard": {
            "modelParameters": {"task": model.task},
            "quantitativeAnalysis": {
                "performanceMetrics": [{"type": name, "value": str(value)} for name, value in model.metrics.items()]
            },
        },
    }


def _hash(digest: str) -> Json:
    return {"alg": "SHA-256", "content": digest.removeprefix("sha256:")}
