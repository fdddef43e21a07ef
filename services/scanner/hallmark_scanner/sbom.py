"""CycloneDX 1.2-1.7 and SPDX 2.2-2.3 software bills of materials in JSON, checked and reduced to their components.

The raw bytes remain the evidence; this reads only what matching against advisories needs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs
from packageurl import PackageURL
from registry_core.values import storable

from hallmark_scanner.spdx_schema import SPDX_2_SCHEMA

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
CYCLONEDX_VERSIONS = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")
SPDX_VERSIONS = ("2.2", "2.3")
_CYCLONEDX_BASE = "http://cyclonedx.org/schema"
_REFERENCED = ("spdx", "jsf-0.82", "cryptography-defs")


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    version: str | None
    purl: str | None
    """Package URL as written; its syntax was checked."""
    type: str
    """CycloneDX component type, or the SPDX primary package purpose in lower case; `library` where none is given."""


@dataclass(frozen=True, slots=True)
class Sbom:
    format: str
    """`CycloneDX` or `SPDX`."""
    spec_version: str
    components: tuple[Component, ...]


class SbomError(ValueError):
    """A document that cannot be used: where (a JSON pointer, RFC 6901), what, and what mends it."""

    def __init__(self, pointer: str, message: str, fix: str) -> None:
        super().__init__(f"{pointer or '(document)'}: {message}. {fix}")
        self.pointer, self.message, self.fix = pointer, message, fix


def read_sbom(raw: bytes) -> Sbom:
    """Validate a document against its schema and list its components, nested ones included. Raises SbomError."""
    document = _parse(raw)
    if document.get("bomFormat") == "CycloneDX":
        return _read_cyclonedx(document)
    if "spdxVersion" in document:
        return _read_spdx(document)
    raise SbomError(
        "", "is neither CycloneDX nor SPDX 2 in JSON", "Send JSON with bomFormat or spdxVersion in its root"
    )


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise SbomError("", f"has {len(raw)} bytes", f"Send at most {MAX_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SbomError("", f"is no JSON: {str(error)[:200]}", "Export the SBOM as JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise SbomError("", "is not a JSON object", "Send one SBOM document")
    if _depth(document) > MAX_DEPTH:
        raise SbomError("", f"is nested deeper than {MAX_DEPTH} levels", "Flatten nested components")
    if not storable(document):
        raise SbomError(
            next(_unstorable(document, "")), "is a text with NUL or half a character (a lone surrogate)",
            "Export the SBOM anew without it",
        )  # fmt: skip
    return document


def _unstorable(value: object, pointer: str) -> Iterator[str]:
    """Where the texts are that PostgreSQL cannot hold; of a member's name, where its object is."""
    match value:
        case str():
            found = [] if storable(value) else [pointer]
            yield from found
        case dict():
            for name, member in value.items():
                yield from _unstorable(member, f"{pointer}/{name}") if storable(name) else [pointer]
        case list():
            for index, member in enumerate(value):
                yield from _unstorable(member, f"{pointer}/{index}")


def _depth(document: object) -> int:
    depth, level = 0, [document]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [inner for value in level for inner in _children(value)]
    return depth


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _read_cyclonedx(document: dict[str, Any]) -> Sbom:
    version = document.get("specVersion")
    if version not in CYCLONEDX_VERSIONS:
        raise SbomError("/specVersion", f"{version!r:.50} is not supported", f"Use {', '.join(CYCLONEDX_VERSIONS)}")
    _validate(_cyclonedx_validator(str(version)), document)
    listed = _cyclonedx_components(document.get("components", []), "/components")
    main = document.get("metadata", {}).get("component", {})
    nested = _cyclonedx_components(main.get("components", []), "/metadata/component/components")
    return Sbom("CycloneDX", str(version), (*listed, *nested))


def _cyclonedx_components(components: list[dict[str, Any]], pointer: str) -> Iterator[Component]:
    for index, component in enumerate(components):
        here = f"{pointer}/{index}"
        purl = _checked_purl(component.get("purl"), f"{here}/purl")
        yield Component(component["name"], component.get("version") or None, purl, component["type"])
        yield from _cyclonedx_components(component.get("components", []), f"{here}/components")


def _read_spdx(document: dict[str, Any]) -> Sbom:
    version = str(document["spdxVersion"]).removeprefix("SPDX-")
    if version not in SPDX_VERSIONS:
        raise SbomError(
            "/spdxVersion", f"{version!r:.50} is not supported", f"Use SPDX-{' or SPDX-'.join(SPDX_VERSIONS)}"
        )
    _validate(_spdx_validator(), document)
    components = tuple(_spdx_component(package, index) for index, package in enumerate(document["packages"]))
    _check_unique_ids(document["packages"])
    return Sbom("SPDX", version, components)


def _check_unique_ids(packages: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for index, package in enumerate(packages):
        if package["SPDXID"] in seen:
            raise SbomError(f"/packages/{index}/SPDXID", "the id stands twice", "Give each package an id of its own")
        seen.add(package["SPDXID"])


def _spdx_component(package: dict[str, Any], index: int) -> Component:
    references = enumerate(package.get("externalRefs", []))
    purls = [(number, ref["referenceLocator"]) for number, ref in references if ref["referenceType"] == "purl"]
    number, purl = purls[0] if purls else (0, None)
    checked = _checked_purl(purl, f"/packages/{index}/externalRefs/{number}/referenceLocator")
    kind = str(package.get("primaryPackagePurpose", "library")).lower()
    return Component(package["name"], package.get("versionInfo") or None, checked, kind)


def _checked_purl(purl: str | None, pointer: str) -> str | None:
    """An unreadable purl would match no advisory, silently; so it is refused."""
    if not purl:
        return None
    try:
        PackageURL.from_string(purl)
    except ValueError as error:
        fix = "Write it as pkg:type/namespace/name@version (ECMA-427)"
        raise SbomError(pointer, f"{purl!r:.100} is no package URL: {error}", fix) from None
    return purl


def _validate(validator: jsonschema_rs.Validator, document: dict[str, Any]) -> None:
    error = next(validator.iter_errors(document), None)
    if error is not None:
        pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
        raise SbomError(pointer, error.message[:300], "Correct this value or export the SBOM with a current tool")


@cache
def _cyclonedx_validator(version: str) -> jsonschema_rs.Validator:
    """The schemas refer to each other by names that differ between their `$id` and their `$ref`: register both."""
    resources = []
    for name in _REFERENCED:
        schema = _cyclonedx_schema(name)
        resources += [(f"{_CYCLONEDX_BASE}/{name}{infix}.schema.json", schema) for infix in ("", ".SNAPSHOT")]
    return jsonschema_rs.Draft7Validator(
        _cyclonedx_schema(f"bom-{version}"), registry=jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft7)
    )


def _cyclonedx_schema(name: str) -> dict[str, Any]:
    text = files("cyclonedx.schema._res").joinpath(f"{name}.SNAPSHOT.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _spdx_validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft7Validator(SPDX_2_SCHEMA)
