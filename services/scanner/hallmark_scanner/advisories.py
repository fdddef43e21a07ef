"""Whether an advisory speaks of a component: affected, unknown, or not.

What cannot be decided (an unknown range type, a version that is none in its ecosystem) is `unknown`, never unaffected.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from packageurl import PackageURL
from registry_core.values import Severity

from hallmark_scanner.osv import MAX_TEXT, Advisory, AdvisoryError, Affected, Range, parse_advisory
from hallmark_scanner.sbom import Component
from hallmark_scanner.severities import rate
from hallmark_scanner.versions import Order, bare_key, order_of, package_key, purl_key, semantic

__all__ = [
    "Advisory",
    "AdvisoryError",
    "Match",
    "affected",
    "component_key",
    "lookup_key",
    "package_key",
    "parse_advisory",
]

_START = "0"
_NO_LIMIT = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One advisory about one component."""

    advisory: str
    modified: datetime
    """Of the advisory's document that says so."""
    aliases: tuple[str, ...]
    component: str
    """The purl, or the name where the SBOM gives none."""
    status: Literal["affected", "unknown"]
    severity: Severity
    score: float | None
    """CVSS base score."""
    summary: str
    fixed_in: str | None
    """The lowest version after the component's that a range calls fixed."""
    reason: str


def component_key(component: Component) -> str | None:
    """The `package_key` to look a component up by; None without a purl of a known ecosystem."""
    return purl_key(component.purl) if component.purl else None


def lookup_key(component: Component) -> str:
    """The key a component is indexed by: its package, or its bare name where the ecosystem is not known."""
    return component_key(component) or bare_key(component.name)


def affected(advisory: Advisory, component: Component) -> Match | None:
    """Match by package and version; None where it is not about the component, or is withdrawn."""
    if advisory.withdrawn is not None:
        return None
    entries = [entry for entry in advisory.affected if _names(entry, component)]
    answers = [(_is_affected(entry, component), entry) for entry in entries]
    for wanted in (True, None):
        found = next((entry for answer, entry in answers if answer is wanted), None)
        if found is not None:
            return _match(advisory, found, component, "affected" if wanted else "unknown")
    return None


def _names(entry: Affected, component: Component) -> bool:
    """By key; a component without a purl by bare name, which then can only be unknown."""
    if entry.package is None:
        return False
    key = package_key(entry.package.ecosystem, entry.package.name)
    if _is_homeless(component):
        return bare_key(component.name) == bare_key(entry.package.name)
    mine = component_key(component)
    if mine is not None:
        return mine == key
    return entry.package.purl is not None and _unversioned(component.purl) == entry.package.purl


def _unversioned(purl: str | None) -> str:
    return (purl or "").split("@")[0].split("?")[0]


def _is_affected(entry: Affected, component: Component) -> bool | None:
    """True, False, or None for unknown."""
    if _is_homeless(component) or component.version is None or entry.package is None:
        return None
    order = order_of(entry.package.ecosystem)
    answers = {_is_version_affected(entry, version, order) for version in _versions(component)}
    return answers.pop() if len(answers) == 1 else None


def _is_version_affected(entry: Affected, version: str, order: Order | None) -> bool | None:
    answers = list(_answers(entry, version, order))
    if True in answers:
        return True
    return None if None in answers or not answers else False


def _is_homeless(component: Component) -> bool:
    """Whether the SBOM does not say which ecosystem the component is from."""
    return component.purl is None or PackageURL.from_string(component.purl).type == "generic"


def _versions(component: Component) -> set[str]:
    """The version field and the purl's version, which an SBOM may give differently; then neither can be trusted."""
    stated = PackageURL.from_string(component.purl).version if component.purl else None
    return {version for version in (component.version, stated) if version}


def _answers(entry: Affected, version: str, order: Order | None) -> Iterator[bool | None]:
    """One per list of versions and per range. Commits say nothing of a version, but where nothing else is given."""
    ranges = [item for item in entry.ranges if item.type != "GIT"]
    if entry.versions:
        yield _is_listed(entry.versions, version, order)
    for item in ranges:
        yield _is_in_range(item, version, order)
    if entry.ranges and not ranges and not entry.versions:
        yield None


def _is_listed(versions: tuple[str, ...], version: str, order: Order | None) -> bool | None:
    if version in versions:
        return True
    here = _ordered(order, version)
    if here is None:
        return None
    return any(here == _ordered(order, listed) for listed in versions)


def _is_in_range(item: Range, version: str, ecosystem_order: Order | None) -> bool | None:
    """OSV's algorithm: walk the events in version order (schema, "Evaluation")."""
    order = {"SEMVER": semantic, "ECOSYSTEM": ecosystem_order}.get(item.type)
    here = _ordered(order, version)
    events = _events(item, order)
    if here is None or events is None:
        return None
    limits = [value for kind, value in events if kind == "limit"]
    if limits and not any(here < limit for limit in limits):
        return False
    inside = any(event.introduced == _START for event in item.events)
    for kind, value in events:
        if kind == "introduced" and here >= value:
            inside = True
        elif (kind == "fixed" and here >= value) or (kind == "last_affected" and here > value):
            inside = False
    return inside


def _events(item: Range, order: Order | None) -> list[tuple[str, Any]] | None:
    """Kind and ordered version, ascending, without the open ends; None where one is no version.

    Where two stand at one version, `introduced` counts last: in doubt the version is affected.
    """
    pairs = [next(iter(event.model_dump(exclude_none=True).items())) for event in item.events]
    bounded = [pair for pair in pairs if pair not in (("introduced", _START), ("limit", _NO_LIMIT))]
    ordered = [(kind, _ordered(order, text)) for kind, text in bounded]
    if any(value is None for _, value in ordered):
        return None
    return sorted(ordered, key=lambda pair: (pair[1], pair[0] == "introduced"))


def _ordered(order: Order | None, version: str) -> Any:
    """A comparable version; None where the order is unknown or does not know the version, or it is no sane one."""
    if len(version) > MAX_TEXT:
        return None
    try:
        return order(version) if order is not None else None
    except Exception:
        return None


def _match(advisory: Advisory, entry: Affected, component: Component, status: Literal["affected", "unknown"]) -> Match:
    severity, score = rate(advisory, entry)
    return Match(
        advisory=advisory.id,
        modified=advisory.modified,
        aliases=advisory.aliases,
        component=component.purl or component.name,
        status=status,
        severity=severity,
        score=score,
        summary=advisory.summary,
        fixed_in=_fixed_in(entry, component.version) if status == "affected" else None,
        reason=_reason(component, status),
    )


def _reason(component: Component, status: str) -> str:
    if status == "affected":
        return f"version {component.version} is in an affected range"
    if _is_homeless(component):
        return "the SBOM gives no purl with an ecosystem, so its package is not known; add the purl"
    if len(_versions(component)) > 1:
        return f"the SBOM gives it the versions {' and '.join(sorted(_versions(component)))}; correct the SBOM"
    return f"version {component.version} cannot be compared with the advisory's ranges; check it by hand"


def _fixed_in(entry: Affected, version: str | None) -> str | None:
    if version is None or entry.package is None:
        return None
    candidates: list[tuple[Any, str]] = []
    for item in entry.ranges:
        order = {"SEMVER": semantic, "ECOSYSTEM": order_of(entry.package.ecosystem)}.get(item.type)
        here = _ordered(order, version)
        fixes = ((_ordered(order, event.fixed), event.fixed) for event in item.events if event.fixed)
        candidates += [
            (value, text) for value, text in fixes if here is not None and value is not None and value > here
        ]
    return min(candidates, key=lambda pair: pair[0])[1] if candidates else None
