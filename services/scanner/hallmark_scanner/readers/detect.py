"""Which format a file has by its bytes, and the scan that belongs to it."""

from hallmark_scanner.readers import arrays, gguf
from hallmark_scanner.readers.archives import scan_archive
from hallmark_scanner.readers.pickles import follow, scan_pickle
from hallmark_scanner.readers.safetensors import looks_like_safetensors, scan_safetensors
from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.sources import COMPRESSIONS, Source, decompressed
from hallmark_scanner.readers.texts import is_text, scan_text
from hallmark_scanner.readers.zips import ends_as_zip

_HEAD = 512
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
# Formats that are named but not yet read.
_UNREAD = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x7fELF": "executable",
    b"MZ": "executable",
    b"7z\xbc\xaf": "7z",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"%PDF": "pdf",
}
_PICKLE_NAMES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")


def scan_source(source: Source, scan: Scan, depth: int = 0) -> str:
    """Scan by content and return the format; the name decides nothing but how text is read."""
    head = source.head(_HEAD)
    if not head:
        return "empty"
    if head.startswith(_ZIP) and not looks_like_safetensors(head, source.size):
        return _scan_zip(source, scan, depth)
    file_format = _scan_by_head(source, head, scan)
    if ends_as_zip(source):
        # Zip readers look at the end of a file, so they open this one whatever it starts with.
        scan.note("hidden-archive", source.name, f"is readable as {file_format} and as a zip archive")
        _scan_zip(source, scan, depth)
    return file_format


def _scan_by_head(source: Source, head: bytes, scan: Scan) -> str:
    if looks_like_safetensors(head, source.size):
        return _unless_pickle(source, scan, scan_safetensors(source, scan))
    if head.startswith(arrays.MAGIC):
        return arrays.scan_npy(source, scan)
    if head.startswith(gguf.MAGIC):
        return _unless_pickle(source, scan, gguf.scan_gguf(source, scan))
    if head.startswith(_PICKLE):
        return scan_pickle(source.open, scan, source.name)
    return _scan_rest(source, head, scan)


def _scan_zip(source: Source, scan: Scan, depth: int) -> str:
    if depth >= scan.limits.depth:
        scan.note("limit-exceeded", source.name, f"is an archive more than {scan.limits.depth} deep")
        return "zip"
    return scan_archive(source, scan, depth + 1, scan_source)


def _scan_rest(source: Source, head: bytes, scan: Scan) -> str:
    """Compressed pickles, then old pickles, which have no signature, then text."""
    make = next((make for magic, make in COMPRESSIONS.items() if head.startswith(magic)), None)
    if make is not None:
        return scan_pickle(lambda: decompressed(source.open(), make, scan), scan, source.name)
    if _is_old_pickle(source):
        return scan_pickle(source.open, scan, source.name)
    if is_text(source) and not source.name.endswith(_PICKLE_NAMES):
        return _unless_pickle(source, scan, scan_text(source, scan))
    return _unless_pickle(source, scan, _name_unread(source, head, scan))


def _is_old_pickle(source: Source) -> bool:
    """Protocols 0 and 1: whether the bytes make at least one whole pickle. A single digit or letter might, too."""
    outcome = follow(source.open(), Scan(), source.name)
    return outcome.pickles > 0 and (outcome.globals_named > 0 or outcome.problem is None)


def _name_unread(source: Source, head: bytes, scan: Scan) -> str:
    known = (name for magic, name in _UNREAD.items() if head.startswith(magic))
    file_format = next(known, "tar" if head[257:262] == b"ustar" else "unknown")
    scan.note("format-not-understood", source.name, f"has the format {file_format}, which this scan cannot read")
    return file_format


def _unless_pickle(source: Source, scan: Scan, file_format: str) -> str:
    """Another reader may take the same bytes for a pickle: note what that would name before it fails."""
    trial = Scan(scan.limits)
    if follow(source.open(), trial, source.name).globals_named:
        scan.note("hidden-pickle", source.name, f"is readable as {file_format} and as a pickle that names globals")
        for finding in trial.findings.values():
            scan.note(finding.rule, finding.location, finding.message)
    return file_format
