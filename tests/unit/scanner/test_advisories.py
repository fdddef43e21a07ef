"""OSV advisories against components: affected, unknown, or not, by the ecosystem's own version order."""

import json
from typing import Any

import pytest
from hallmark_scanner.advisories import AdvisoryError, affected, component_key, lookup_key, package_key, parse_advisory
from hallmark_scanner.sbom import Component
from hallmark_scanner.versions import bare_key
from hypothesis import given
from hypothesis import strategies as st
from registry_core.values import Severity

V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


def osv(*events: dict[str, str], kind: str = "ECOSYSTEM", ecosystem: str = "PyPI", **fields: Any) -> dict[str, Any]:
    ranges = [{"type": kind, "events": list(events), "repo": "https://example.org/r"}] if events else []
    name = "Demo_Pkg" if ecosystem == "PyPI" else "demo-pkg"
    entry = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, **fields.pop("entry", {})}
    return {"schema_version": "1.7.5", "id": "T-1", "modified": "2026-01-21T00:00:00Z", "affected": [entry], **fields}


def parse(document: object):
    return parse_advisory(json.dumps(document).encode())


def component(version: str | None, purl_type: str = "pypi") -> Component:
    return Component("demo-pkg", version, f"pkg:{purl_type}/demo-pkg@{version}", "library")


def status(document: dict[str, Any], version: str | None, purl_type: str = "pypi") -> str | None:
    match = affected(parse(document), component(version, purl_type))
    return match.status if match else None


VECTOR = ({"introduced": "1.0.0"}, {"fixed": "1.0.2"}, {"introduced": "3.0.0"}, {"fixed": "3.2.5"})


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.0.1", "affected"), ("1.0.2", None), ("2.0.0", None), ("3.2.4", "affected"), ("3.2.5", None), ("0.9", None)],
)
def test_the_vector_of_the_osv_schema(version: str, expected: str | None):
    assert status(osv(*VECTOR), version) == expected
    assert status(osv(*reversed(VECTOR)), version) == expected


def test_the_same_vector_by_semantic_versions():
    document = osv(*VECTOR, kind="SEMVER", ecosystem="npm")
    assert [status(document, version, "npm") for version in ("1.0.1", "1.0.2", "3.2.5-rc.1")] == [
        "affected",
        None,
        "affected",
    ]


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        (({"introduced": "0"}, {"fixed": "2.0"}), "1.9", "affected"),
        (({"introduced": "0"}, {"fixed": "2.0"}), "2.0rc1", "affected"),
        (({"introduced": "0"}, {"fixed": "2.10"}), "2.9", "affected"),
        (({"introduced": "0"}, {"last_affected": "2.0"}), "2.0", "affected"),
        (({"introduced": "0"}, {"last_affected": "2.0"}), "2.0.1", None),
        (({"introduced": "0"}, {"last_affected": "2.0"}), "2.0+cu118", "affected"),
        (({"introduced": "1!0"}, {"fixed": "1!2"}), "5.0", None),
        (({"introduced": "0"}, {"limit": "3.0"}), "3.1", None),
        (({"introduced": "0"}, {"limit": "*"}), "3.1", "affected"),
        (({"introduced": "0"}, {"fixed": "2.0"}), "not-a-version", "unknown"),
        (({"introduced": "0"}, {"fixed": "dreadful"}), "1.0", "unknown"),
        (({"introduced": "0"}, {"fixed": "2.0"}), None, "unknown"),
    ],
)
def test_python_versions_compare_as_pep_440_says(
    events: tuple[dict[str, str], ...], version: str | None, expected: str | None
):
    assert status(osv(*events), version) == expected


@pytest.mark.parametrize(
    ("kind", "ecosystem", "purl_type"),
    [("CALENDAR", "PyPI", "pypi"), ("GIT", "PyPI", "pypi"), ("ECOSYSTEM", "CRAN", "cran")],
)
def test_what_cannot_be_compared_is_unknown_and_never_unaffected(kind: str, ecosystem: str, purl_type: str):
    document = osv({"introduced": "0"}, {"fixed": "1"}, kind=kind, ecosystem=ecosystem)
    document["affected"][0]["package"]["purl"] = f"pkg:{purl_type}/demo-pkg"
    assert status(document, "9.0", purl_type) == "unknown"


def test_listed_versions_are_affected_beside_ranges():
    document = osv({"introduced": "5"}, entry={"versions": ["1.0"]})
    assert [status(document, version) for version in ("1.0", "1.0.0", "2.0", "6")] == [
        "affected",
        "affected",
        None,
        "affected",
    ]


def test_commit_ranges_do_not_blur_listed_versions():
    document = osv({"introduced": "0"}, kind="GIT", entry={"versions": ["1.0"]})
    assert [status(document, version) for version in ("1.0", "2.0")] == ["affected", None]


def test_a_package_without_versions_is_unknown():
    assert status(osv(), "1.0") == "unknown"


def test_a_withdrawn_advisory_matches_nothing():
    assert status(osv({"introduced": "0"}, withdrawn="2026-02-01T00:00:00Z"), "1.0") is None


def test_another_package_or_ecosystem_is_not_matched():
    advisory = parse(osv({"introduced": "0"}))
    assert affected(advisory, Component("demo-pkg", "1", "pkg:npm/demo-pkg@1", "library")) is None
    assert affected(advisory, Component("other", "1", "pkg:pypi/other@1", "library")) is None


def test_a_component_without_purl_is_unknown_by_its_name():
    match = affected(parse(osv({"introduced": "0"})), Component("demo.pkg", "1", None, "library"))
    assert match is not None
    assert match.status == "unknown"
    assert "purl" in match.reason


@pytest.mark.parametrize(
    ("fields", "severity", "score"),
    [
        ({"severity": [{"type": "CVSS_V3", "score": V3}]}, Severity.CRITICAL, 9.8),
        ({"severity": [{"type": "CVSS_V4", "score": V4}]}, Severity.CRITICAL, 9.3),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}, Severity.HIGH, 7.5),
        ({"severity": [{"type": "CVSS_V3", "score": "nonsense"}]}, Severity.UNKNOWN, None),
        ({"severity": None, "database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM, None),
        ({}, Severity.UNKNOWN, None),
    ],
)
def test_severity_comes_from_the_vector_or_the_databases_word(
    fields: dict[str, Any], severity: Severity, score: float | None
):
    match = affected(parse(osv({"introduced": "0"}, **fields)), component("1"))
    assert match is not None
    assert (match.severity, match.score) == (severity, score)


def test_a_match_names_aliases_and_the_next_fixed_version():
    match = affected(parse(osv(*VECTOR, aliases=["CVE-2026-1"], summary="Bad")), component("1.0.1"))
    assert match is not None
    assert (match.advisory, match.aliases, match.fixed_in, match.summary) == ("T-1", ("CVE-2026-1",), "1.0.2", "Bad")
    assert match.component == "pkg:pypi/demo-pkg@1.0.1"


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"modified": "2026-01-21T00:00:00Z"}, "/id"),
        ({"id": "T-1"}, "/modified"),
        ({"id": "T-1", "modified": "2026-01-21T00:00:00+01:00"}, "/modified"),
        (osv({"introduced": "0"}, {"fixed": "1"}, {"last_affected": "2"}), "/affected/0/ranges/0"),
        (osv({"fixed": "1"}), "/affected/0/ranges/0"),
        (osv({"introduced": "0", "fixed": "1"}), "/affected/0/ranges/0/events/0"),
        ([], ""),
    ],
)
def test_a_malformed_advisory_is_refused_at_its_place(document: Any, pointer: str):
    with pytest.raises(AdvisoryError) as refused:
        parse(document)
    assert refused.value.pointer == pointer
    assert refused.value.fix


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({**osv(), "id": "T" * 129}, "/id"),
        (osv({"introduced": "0"}, aliases=["A" * 129]), "/aliases/0"),
        (osv({"introduced": "0"}, entry={"versions": ["1" * 129]}), "/affected/0/versions/0"),
        (osv({"introduced": "0"}, {"fixed": "1" * 129}), "/affected/0/ranges/0/events/1/fixed"),
        (osv({"introduced": "0"}, entry={"versions": ["1"] * 20_000}), "/affected/0"),
    ],
)
def test_an_advisory_beyond_its_bounds_is_refused_at_its_place(document: Any, pointer: str):
    with pytest.raises(AdvisoryError) as refused:
        parse(document)
    assert refused.value.pointer == pointer


def test_an_advisory_of_many_versions_is_taken():
    assert status(osv(entry={"versions": [f"{n}.0" for n in range(15_000)]}), "14999") == "affected"


def test_a_component_version_of_absurd_length_is_unknown():
    assert status(osv({"introduced": "0"}, {"fixed": "2.0"}), "1" + ".0" * 50_000) == "unknown"


@pytest.mark.parametrize("purl", [None, "pkg:generic/Demo_Pkg@1.0"])
def test_a_component_of_no_ecosystem_is_looked_up_by_bare_name(purl: str | None):
    nameless = Component("Demo_Pkg", "1.0", purl, "library")
    assert lookup_key(nameless) == bare_key("demo.pkg")
    match = affected(parse(osv({"introduced": "0"}, ecosystem="npm")), nameless)
    assert match is not None
    assert (match.status, match.fixed_in) == ("unknown", None)


@pytest.mark.parametrize(
    ("version", "in_purl", "expected"),
    [("9.9", "1.0", "unknown"), ("1.0", "9.9", "unknown"), ("1.0", "1.5", "affected"), ("9.9", "9.8", None)],
)
def test_two_versions_of_one_component_are_both_compared(version: str, in_purl: str, expected: str | None):
    advisory = parse(osv({"introduced": "0"}, {"fixed": "2.0"}))
    match = affected(advisory, Component("demo-pkg", version, f"pkg:pypi/demo-pkg@{in_purl}", "library"))
    assert (match.status if match else None) == expected


def test_keys_are_normalised():
    assert package_key("PyPI", "Demo_Pkg") == package_key("PyPI", "demo.pkg") == "PyPI/demo-pkg"
    assert package_key("Debian:12", "zlib") == "Debian/zlib"
    keys = {"pkg:npm/%40angular/core@1": "npm/@angular/core", "pkg:maven/org.a/b@1": "Maven/org.a:b"}
    keys |= {"pkg:golang/github.com/a/b@v1.0.0": "Go/github.com/a/b", "pkg:deb/debian/zlib1g@1": "Debian/zlib1g"}
    for purl, key in keys.items():
        assert component_key(Component("x", "1", purl, "library")) == key


STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
"""Neither NUL nor half a character: these are refused at the door, see below."""


@given(
    STORABLE,
    STORABLE.filter(bool),
    st.sampled_from(["PyPI", "npm", "Maven", "Debian", "Alpine"]),
)
def test_no_version_text_makes_the_matcher_fail(version: str, fixed: str, ecosystem: str):
    types = {"PyPI": "pypi", "npm": "npm", "Maven": "maven", "Debian": "deb/debian", "Alpine": "apk/alpine"}
    document = osv({"introduced": "0"}, {"fixed": fixed}, ecosystem=ecosystem)
    match = affected(parse(document), Component("demo-pkg", version, f"pkg:{types[ecosystem]}/demo-pkg", "library"))
    assert match is None or match.status in ("affected", "unknown")


@pytest.mark.parametrize("version", ["1\x00", "1\ud800"])
def test_a_text_that_cannot_be_stored_is_refused(version: str):
    with pytest.raises(AdvisoryError, match=r"NUL or half a character|hex escape"):
        parse(osv({"introduced": "0"}, {"fixed": version}))
