"""SBOMs: what is valid gives its components, what is not gives the place and the remedy."""

import contextlib
import json
from typing import Any

import pytest
from hallmark_scanner.sbom import CYCLONEDX_VERSIONS, Component, SbomError, read_sbom
from hypothesis import given
from hypothesis import strategies as st


def cyclonedx(version: str = "1.6", **fields: Any) -> dict[str, Any]:
    component = {"type": "library", "name": "numpy", "version": "2.4.6", "purl": "pkg:pypi/numpy@2.4.6"}
    return {"bomFormat": "CycloneDX", "specVersion": version, "version": 1, "components": [component], **fields}


def spdx(**fields: Any) -> dict[str, Any]:
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": "pkg:pypi/numpy@2.4.6",
    }
    package = {
        "name": "numpy",
        "SPDXID": "SPDXRef-numpy",
        "downloadLocation": "NOASSERTION",
        "versionInfo": "2.4.6",
        "externalRefs": [reference],
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "model",
        "documentNamespace": "https://example.org/model",
        "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: test"]},
        "packages": [package],
        **fields,
    }


def read(document: object):
    return read_sbom(json.dumps(document).encode())


@pytest.mark.parametrize("text", ["a\x00b", "half \ud800"])
@pytest.mark.parametrize("raw", [True, False])
def test_a_text_that_cannot_be_stored_is_named_with_its_place(text: str, raw: bool):
    document = cyclonedx(components=[{"type": "library", "name": "fine"}, {"type": "library", "name": text}])
    written = json.dumps(document).encode()
    if raw and "\x00" not in text:  # JSON allows no raw NUL
        written = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    with pytest.raises(SbomError) as refused:
        read_sbom(written)
    assert refused.value.pointer == "/components/1/name"
    assert "NUL or half a character" in str(refused.value)


@pytest.mark.parametrize("version", CYCLONEDX_VERSIONS)
def test_every_cyclonedx_version_gives_its_components(version: str):
    # 1.2 and 1.3 require a version of every component, as given here.
    sbom = read(cyclonedx(version))
    assert (sbom.format, sbom.spec_version) == ("CycloneDX", version)
    assert sbom.components == (Component("numpy", "2.4.6", "pkg:pypi/numpy@2.4.6", "library"),)


def test_nested_components_are_listed():
    inner = {"type": "library", "name": "inner", "version": "1"}
    outer = {"type": "machine-learning-model", "name": "outer", "components": [inner]}
    main = {"type": "application", "name": "app", "components": [{**inner, "name": "bundled"}]}
    sbom = read(cyclonedx(components=[outer], metadata={"component": main}))
    assert [component.name for component in sbom.components] == ["outer", "inner", "bundled"]
    assert sbom.components[0].type == "machine-learning-model"


def test_an_ml_bom_with_licence_and_signature_references_is_valid():
    licensed = {"type": "library", "name": "a", "licenses": [{"license": {"id": "Apache-2.0"}}]}
    assert read(cyclonedx(components=[licensed])).components[0].name == "a"


@pytest.mark.parametrize("version", ["SPDX-2.2", "SPDX-2.3"])
def test_spdx_gives_its_packages(version: str):
    sbom = read(spdx(spdxVersion=version))
    assert sbom.components == (Component("numpy", "2.4.6", "pkg:pypi/numpy@2.4.6", "library"),)


def _package(**fields: Any) -> dict[str, Any]:
    return {**spdx()["packages"][0], **fields}


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        (cyclonedx(specVersion="9.9"), "/specVersion", "9.9"),
        (cyclonedx(components=[{"type": "library"}]), "/components/0", "name"),
        (cyclonedx(components=[{"type": "spaceship", "name": "a"}]), "/components/0/type", "spaceship"),
        (cyclonedx(components=[{"type": "library", "name": "a", "purl": "numpy"}]), "/components/0/purl", "numpy"),
        (
            cyclonedx(components=[{"type": "library", "name": "a", "licenses": [{"license": {"id": "No-Such"}}]}]),
            "/components/0/licenses",
            "",
        ),
        (spdx(spdxVersion="SPDX-3.0"), "/spdxVersion", "3.0"),
        (spdx(dataLicense="MIT"), "/dataLicense", "CC0-1.0"),
        (spdx(creationInfo={}), "/creationInfo", "created"),
        (spdx(packages=[_package(downloadLocation="")]), "/packages/0/downloadLocation", ""),
        (spdx(packages=[_package(), _package()]), "/packages/1/SPDXID", "twice"),
        ([1], "", "object"),
        ({"a": 1}, "", "neither"),
    ],
)
def test_an_unusable_document_is_refused_with_place_and_remedy(document: Any, pointer: str, said: str):
    with pytest.raises(SbomError) as refused:
        read(document)
    assert refused.value.pointer.startswith(pointer)
    assert said in refused.value.message
    assert refused.value.fix


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[" * 100_000, b'{"bomFormat":"CycloneDX","a":' + b"[" * 90 + b"]" * 90 + b"}"]
)
def test_what_is_no_bounded_json_is_refused(raw: bytes):
    with pytest.raises(SbomError):
        read_sbom(raw)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_read_or_refused(document: Any):
    for whole in (document, cyclonedx(components=document), spdx(packages=document)):
        with contextlib.suppress(SbomError):
            assert read(whole).components is not None
