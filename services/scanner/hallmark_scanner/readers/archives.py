"""What kind of model a zip archive holds, and a scan of each entry by what that kind expects there."""

import re
from collections.abc import Callable

from hallmark_scanner.readers.pickles import scan_pickle
from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.skops import scan_schema
from hallmark_scanner.readers.sources import Source
from hallmark_scanner.readers.torch_storages import Storages
from hallmark_scanner.readers.zips import Entry, read_entries

_TORCH_PICKLE = re.compile(r"([^/]+/)?data\.pkl")
ScanEntry = Callable[[Source, Scan, int], str]


def scan_archive(source: Source, scan: Scan, depth: int, scan_entry: ScanEntry) -> str:
    """The format: `torch`, `torchscript`, `skops`, `npz` or `zip`. `scan_entry` scans what has no part in it."""
    entries = [
        entry for entry in read_entries(source, scan) if not (entry.name.endswith("/") and not entry.source.size)
    ]
    names = {entry.name: entry for entry in entries}
    pickles = [name for name in names if _TORCH_PICKLE.fullmatch(name)]
    if pickles:
        return _scan_torch(entries, pickles[0].removesuffix("data.pkl"), scan, depth, scan_entry)
    if "schema.json" in names:
        return _scan_skops(entries, scan, depth, scan_entry)
    for entry in entries:
        scan_entry(entry.source, scan, depth)
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _scan_torch(entries: list[Entry], root: str, scan: Scan, depth: int, scan_entry: ScanEntry) -> str:
    storages = Storages()
    tensors = {}
    for entry in entries:
        if entry.name.startswith(f"{root}data/"):
            tensors[entry.name.removeprefix(f"{root}data/")] = entry.source
        elif entry.name == f"{root}data.pkl":
            scan_pickle(entry.source.open, scan, entry.source.name, storages.resolve)
        else:
            scan_entry(entry.source, scan, depth)
    script = any(entry.name.startswith(f"{root}code/") for entry in entries)
    if script:
        scan.note("torchscript-code", entries[0].source.name, "holds TorchScript code")
    storages.check(tensors, scan)
    return "torchscript" if script else "torch"


def _scan_skops(entries: list[Entry], scan: Scan, depth: int, scan_entry: ScanEntry) -> str:
    binary: frozenset[str] = frozenset()
    for entry in entries:
        if entry.name == "schema.json":
            binary = scan_schema(entry.source, scan)
    for entry in entries:
        if entry.name not in binary and entry.name != "schema.json":
            scan_entry(entry.source, scan, depth)
    return "skops"
