"""What the journey brought about."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_core.proofs.pack import Report


@dataclass(slots=True)
class Outcome:
    """What the journey brought about, for the summary and for tests."""

    approved: str = ""
    promotion: str = ""
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Rules that refused, by what was tried."""
    admissions: dict[str, bool] = field(default_factory=dict)
    served: dict[str, Any] = field(default_factory=dict)
    clocks: int = 0
    audit: dict[str, Any] = field(default_factory=dict)
    pack: Path | None = None
    verified: Report | None = None
    tampered: Report | None = None
    seconds: float = 0.0
