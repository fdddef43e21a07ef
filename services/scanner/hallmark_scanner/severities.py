"""How grave an advisory is: by its CVSS vector where it has one, else by its database's own word."""

from typing import Any

import cvss
from registry_core.values import Severity

from hallmark_scanner.osv import Advisory, Affected, SeverityScore

_CVSS = {"CVSS_V2": cvss.CVSS2, "CVSS_V3": cvss.CVSS3, "CVSS_V4": cvss.CVSS4}
_WORDS = {severity.value: severity for severity in Severity} | {
    "moderate": Severity.MEDIUM,
    "important": Severity.HIGH,
}


def rate(advisory: Advisory, entry: Affected) -> tuple[Severity, float | None]:
    """Severity and CVSS base score of one affected package; the gravest vector, the package's own first."""
    for scores in (entry.severity, advisory.severity):
        rated = [found for found in map(_rate_vector, scores) if found is not None]
        if rated:
            return max(rated, key=lambda found: found[1])
    word = _word(entry.database_specific) or _word(advisory.database_specific)
    return _WORDS.get(word, Severity.UNKNOWN), None


def _rate_vector(score: SeverityScore) -> tuple[Severity, float] | None:
    known = _CVSS.get(score.type)
    if known is None:
        return None
    try:
        vector = known(score.score)
    except cvss.CVSSError:
        return None
    return Severity(vector.severities()[0].lower()), float(vector.base_score)


def _word(specific: dict[str, Any] | None) -> str:
    value = (specific or {}).get("severity")
    return value.lower() if isinstance(value, str) else ""
