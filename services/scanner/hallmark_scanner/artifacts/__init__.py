"""Static scan of model files. Nothing is imported, called or executed; what is not fully read is never clean."""

from pathlib import Path

from hallmark_scanner.artifacts.report import SCANNER, ScanReport, exit_code, report_as_json, report_from_fields
from hallmark_scanner.readers.limits import Limits
from hallmark_scanner.readers.reading import read_artifact

__all__ = ["SCANNER", "Limits", "ScanReport", "exit_code", "report_as_json", "scan_file"]


def scan_file(path: Path, *, name: str | None = None, limits: Limits | None = None) -> ScanReport:
    """Scan one file in this process; `hallmark_scanner.sandbox` does it in a process of its own.

    `name` is the file's name in its version where that differs from the path's. Raises OSError where the file cannot be
    opened, and nothing for any content.
    """
    with path.open("rb") as stream:
        return report_from_fields(read_artifact(stream, name or path.name, limits or Limits()))
