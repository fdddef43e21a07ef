"""The scan of one stream, whatever it holds."""

import hashlib
from typing import Any, BinaryIO

from hallmark_scanner.readers.detect import scan_source
from hallmark_scanner.readers.limits import Limits
from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.sources import file_source

_CHUNK = 1024 * 1024


def read_artifact(stream: BinaryIO, name: str, limits: Limits) -> dict[str, Any]:
    """The fields of a report on a seekable stream; no content makes it raise, except through a fault of the scanner."""
    scan = Scan(limits)
    try:
        file_format = scan_source(file_source(stream, name), scan)
    except UnreadableError as problem:
        file_format = "unknown"
        scan.note(problem.rule, name, str(problem))
    except (MemoryError, RecursionError, OverflowError) as problem:
        file_format = "unknown"
        scan.note("limit-exceeded", name, f"exhausted the scanner: {type(problem).__name__}")
    return {**scan.as_dict(), "format": file_format, "digest": file_digest(stream)}


def failed_scan(message: str, digest: str) -> dict[str, Any]:
    """The fields of the report on a scan that did not come to its end."""
    scan = Scan()
    scan.note("scan-failed", "", message)
    return {**scan.as_dict(), "format": "unknown", "digest": digest}


def file_digest(stream: BinaryIO) -> str:
    """`sha256:<hex>` of a seekable stream from its first byte, in constant memory."""
    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
