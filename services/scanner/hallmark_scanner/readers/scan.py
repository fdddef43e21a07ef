"""What a scan collects while it reads one file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from hallmark_scanner.readers.limits import Limits
from hallmark_scanner.readers.rules import RULES


class UnreadableError(Exception):
    """The bytes are not what their format promises, or a bound was reached; `rule` is a key of RULES."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Found:
    """As `registry_core.events.evidence.Finding`, without pydantic, which takes longer to load than most scans."""

    rule: str
    severity: str
    location: str
    message: str
    fix: str


@dataclass(slots=True)
class Scan:
    """Findings and spent budget of one file."""

    limits: Limits = field(default_factory=Limits)
    findings: dict[tuple[str, str, str], Found] = field(default_factory=dict)
    complete: bool = True
    unpacked: int = 0
    entries: int = 0

    def note(self, rule: str, location: str, message: str) -> None:
        """Record a finding once; a location or message is cut at 300 characters."""
        known = RULES[rule]
        self.complete = self.complete and known.complete
        key = (rule, location[:300], message[:300])
        # A flood of harmless findings must not push out a grave one.
        room = self.limits.findings * (2 if known.severity == "critical" else 1)
        if len(self.findings) < room:
            self.findings[key] = Found(
                rule=rule, severity=known.severity, location=_plain(key[1]), message=_plain(key[2]), fix=known.fix
            )

    def spend(self, size: int) -> None:
        """Count unpacked bytes. Raises UnreadableError past the limit (an archive bomb ends here)."""
        self.unpacked += size
        if self.unpacked > self.limits.unpacked_bytes:
            raise UnreadableError("limit-exceeded", f"unpacks to more than {self.limits.unpacked_bytes} bytes")

    def count_entry(self) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise UnreadableError("limit-exceeded", f"has more than {self.limits.entries} archive entries")

    def as_dict(self) -> dict[str, Any]:
        """Verdict, completeness, findings; malicious if one is critical, clean only if all was read and none found."""
        findings = [asdict(found) for found in self.findings.values()]
        malicious = any(found["severity"] == "critical" for found in findings)
        clean = self.complete and not findings
        return {
            "verdict": "malicious" if malicious else "clean" if clean else "review",
            "read_completely": self.complete,
            "findings": findings,
        }


def _plain(text: str) -> str:
    """Printable text: hostile names may hold lone surrogates and terminal escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
