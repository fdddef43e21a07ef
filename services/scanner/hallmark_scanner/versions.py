"""Package identities and version orders of the ecosystems that OSV and purl both name."""

import re
from collections.abc import Callable
from typing import Any

import semver
from packageurl import PackageURL
from univers import versions as univers

Order = Callable[[str], Any]
"""Turns a version into a value that compares like it. Raises for what is no version there."""

# purl type, or type and namespace: OSV ecosystem (purl types; OSV 1.7 "Defined Ecosystems").
_ECOSYSTEMS = {
    "apk/alpine": "Alpine",
    "apk/chainguard": "Chainguard",
    "apk/wolfi": "Wolfi",
    "cargo": "crates.io",
    "composer": "Packagist",
    "deb/debian": "Debian",
    "deb/ubuntu": "Ubuntu",
    "gem": "RubyGems",
    "golang": "Go",
    "hex": "Hex",
    "maven": "Maven",
    "npm": "npm",
    "nuget": "NuGet",
    "pub": "Pub",
    "pypi": "PyPI",
    "rpm/almalinux": "AlmaLinux",
    "rpm/redhat": "Red Hat",
    "rpm/rocky": "Rocky Linux",
}
_SEPARATORS = {"maven": ":", "composer": "/", "golang": "/", "npm": "/"}
_CASELESS = ("Hex", "NuGet", "Packagist", "Pub", "npm")


def semantic(version: str) -> semver.Version:
    """SemVer 2.0.0; build metadata does not count. A leading `v`, as Go writes it, is dropped."""
    return semver.Version.parse(version.removeprefix("v"))


def _python(version: str) -> Any:
    """PEP 440. A local label (`2.1.0+cu118`) marks a build of that version, which is as vulnerable as it."""
    return univers.PypiVersion(version.partition("+")[0])


_ORDERS: dict[str, Order] = {
    **dict.fromkeys(("Alpine", "Chainguard", "Wolfi"), univers.AlpineLinuxVersion),
    **dict.fromkeys(("AlmaLinux", "Red Hat", "Rocky Linux"), univers.RpmVersion),
    **dict.fromkeys(("Debian", "Ubuntu"), univers.DebianVersion),
    **dict.fromkeys(("Go", "Hex", "Pub", "crates.io", "npm"), semantic),
    "Maven": univers.MavenVersion,
    "NuGet": univers.NugetVersion,
    "Packagist": univers.ComposerVersion,
    "PyPI": _python,
    "RubyGems": univers.RubygemsVersion,
}


def order_of(ecosystem: str) -> Order | None:
    """The order of an ecosystem (`Debian:12` orders like `Debian`); None where none is known here."""
    return _ORDERS.get(_family(ecosystem))


def package_key(ecosystem: str, name: str) -> str:
    """`ecosystem/name`, equal for two spellings of one package: PEP 503 for PyPI, lower case where case is ignored.

    Releases of a distribution (`Debian:12`) are not told apart.
    """
    family = _family(ecosystem)
    if family == "PyPI":
        name = re.sub(r"[-_.]+", "-", name).lower()
    elif family in _CASELESS:
        name = name.lower()
    return f"{family}/{name}"


def bare_key(name: str) -> str:
    """The key of a name whose ecosystem is not known: the most forgiving spelling of any, under no ecosystem."""
    return "/" + re.sub(r"[-_.]+", "-", name).lower()


def purl_key(purl: str) -> str | None:
    """The `package_key` of what a package URL names; None where OSV has no ecosystem for its type."""
    try:
        parsed = PackageURL.from_string(purl)
    except ValueError:
        return None
    ecosystem = _ECOSYSTEMS.get(f"{parsed.type}/{parsed.namespace}") or _ECOSYSTEMS.get(parsed.type)
    if ecosystem is None:
        return None
    separator = _SEPARATORS.get(parsed.type)
    qualified = f"{parsed.namespace}{separator}{parsed.name}" if parsed.namespace and separator else parsed.name
    return package_key(ecosystem, qualified)


def _family(ecosystem: str) -> str:
    return ecosystem.partition(":")[0]
