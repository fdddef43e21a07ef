"""The scanning process: gives up what it can, then reads standard input as a hostile file and prints a report.

It imports the standard library only, and everything beforehand, as it cannot open a file afterwards.
"""

import codecs
import io
import json
import sys
from typing import Any, BinaryIO

from hallmark_scanner.isolation import isolate
from hallmark_scanner.readers.limits import Limits
from hallmark_scanner.readers.reading import failed_scan, file_digest, read_artifact

_CODECS = ("utf-8", "ascii", "latin-1", "cp437", "raw-unicode-escape")


def main() -> None:
    """Scan standard input with the file name and limits that the only argument gives as JSON."""
    name, fields = json.loads(sys.argv[1])
    limits = Limits(**fields)
    stream = open(0, "rb", closefd=False)  # noqa: SIM115 - lives as long as the process
    _load_everything()
    held = ("empty environment", "file opened by the caller, read-only", *isolate(limits))
    sys.stdout.write(json.dumps({**_scan(stream, name, limits), "isolation": held}))


def _scan(stream: BinaryIO, name: str, limits: Limits) -> dict[str, Any]:
    try:
        return read_artifact(stream, name, limits)
    except Exception as error:
        return failed_scan(f"the scanner failed: {type(error).__name__}: {error}", file_digest(stream))


def _load_everything() -> None:
    """Load codecs and tables that are otherwise loaded at first use."""
    for codec in _CODECS:
        codecs.lookup(codec)
    read_artifact(io.BytesIO(b"cbuiltins\nint\n."), "warm-up", Limits())


if __name__ == "__main__":
    main()
