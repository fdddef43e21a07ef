"""Zip archives, read by their central directory and by the local headers that some readers trust instead.

Python's `zipfile` refuses an entry with a wrong checksum while torch loads it, so entries are unpacked here without
that check, scanned, and the wrong checksum is a finding. Layout: PKWARE APPNOTE 6.3.10.
"""

import stat
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.sources import Source, bytes_source, decompressed, window

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL_SIZE, _END_SIZE, _ZIP64_END_SIZE = 46, 22, 76
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_UNSTATED = (0, 0xFFFFFFFF)
"""Sizes that follow in a descriptor or in the zip64 extra field."""
_DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)
_END = struct.Struct("<4s4H2IH")
_END_SIGNATURE = b"PK\x05\x06"
_TAIL = 72 * 1024
"""Where zip readers look for the end record: behind it a comment of 64 KiB, and some search a buffer further."""
_CHUNK = 1024 * 1024
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    ValueError,
    OSError,
    EOFError,
    struct.error,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An archive member that could be unpacked; `source` is what it holds."""

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where the local header starts, its data starts and its data ends."""

    header: int
    data: int
    end: int
    descriptor: bool


def read_entries(source: Source, scan: Scan) -> list[Entry]:
    """Every member that can be unpacked within bounds; what cannot, and what is suspicious, is noted."""
    stream = source.open()
    try:
        archive = zipfile.ZipFile(stream)
    except _ZIP_ERRORS as error:
        scan.note("zip-unreadable", source.name, f"is no readable zip archive: {error}")
        return []
    infos = archive.infolist()
    _note_names(infos, source.name, scan)
    extents = [_extent(stream, info, source.name, scan) for info in infos]
    _note_gaps(archive, extents, source, scan)
    opened = (
        _entry(source, info, extent, scan) for info, extent in zip(infos, extents, strict=True) if extent is not None
    )
    return [entry for entry in opened if entry is not None]


def ends_as_zip(source: Source) -> bool:
    """Whether a zip reader would find an end record in a file of another format, with room for its directory."""
    start = max(0, source.size - _TAIL)
    stream = source.open()
    stream.seek(start)
    tail = stream.read(_TAIL)
    position = tail.find(_END_SIGNATURE)
    while 0 <= position <= len(tail) - _END.size:
        # Counts, disk numbers and the comment's length are not compared: zipfile passes over them, too.
        size = _END.unpack_from(tail, position)[5]
        if size <= start + position or size in _UNSTATED:
            return True
        position = tail.find(_END_SIGNATURE, position + 1)
    return False


def _note_names(infos: list[zipfile.ZipInfo], where: str, scan: Scan) -> None:
    for name, count in Counter(info.filename for info in infos).items():
        if count > 1:
            scan.note("zip-duplicate-entry", f"{where}!{name}", f"the name stands {count} times in the archive")
    for info in infos:
        scan.count_entry()
        if _leaves_folder(info):
            scan.note("zip-unsafe-path", f"{where}!{info.filename}", "is a link, an absolute path or leads upwards")


def _leaves_folder(info: zipfile.ZipInfo) -> bool:
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    return (
        stat.S_ISLNK(info.external_attr >> 16)
        or name.startswith(("/", "\\"))
        or ".." in parts
        or any(char in name for char in "\\:\0")
    )


def _extent(stream: BinaryIO, info: zipfile.ZipInfo, where: str, scan: Scan) -> _Extent | None:
    """Where the entry lies by its local header, which must say the same as the central directory."""
    stream.seek(info.header_offset)
    raw = stream.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or not raw.startswith(b"PK\x03\x04"):
        scan.note("zip-entry-unreadable", f"{where}!{info.filename}", "has no local header where the directory says")
        return None
    _, _, flags, method, _, _, _, packed, unpacked, name_size, extra_size = _LOCAL.unpack(raw)
    same_sizes = packed in (info.compress_size, *_UNSTATED) and unpacked in (info.file_size, *_UNSTATED)
    told = (stream.read(name_size), method, flags)
    if told != (_raw_name(info), info.compress_type, info.flag_bits) or not same_sizes:
        scan.note("zip-header-mismatch", f"{where}!{info.filename}", "its local header differs from the directory")
    start = info.header_offset + _LOCAL.size + name_size + extra_size
    return _Extent(info.header_offset, start, start + info.compress_size, bool(flags & _DESCRIPTOR))


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437", "replace")


def _note_gaps(archive: zipfile.ZipFile, extents: list[_Extent | None], source: Source, scan: Scan) -> None:
    """Every byte must belong to an entry, the directory or the end record."""
    known = sorted((extent for extent in extents if extent is not None), key=lambda extent: extent.header)
    position = 0
    allowed: tuple[int, ...] = (0,)
    for extent in known:
        if extent.header - position not in allowed:
            scan.note("zip-hidden-data", source.name, f"{extent.header - position} bytes before byte {extent.header}")
        position, allowed = extent.end, _DESCRIPTOR_SIZES if extent.descriptor else (0,)
    directory = archive.start_dir
    size = sum(_central_size(info) for info in archive.infolist())
    rest = source.size - directory - size - _END_SIZE
    if directory - position not in allowed or rest not in (0, _ZIP64_END_SIZE):
        scan.note("zip-hidden-data", source.name, "bytes around the directory or after the archive's end")


def _central_size(info: zipfile.ZipInfo) -> int:
    return _CENTRAL_SIZE + len(_raw_name(info)) + len(info.extra) + len(info.comment)


def _entry(source: Source, info: zipfile.ZipInfo, extent: _Extent, scan: Scan) -> Entry | None:
    where = f"{source.name}!{info.filename}"
    try:
        inner = _unpack(source, info, extent, where, scan)
    except UnreadableError as problem:
        scan.note(problem.rule, where, str(problem))
        return None
    if _checksum(inner) != info.CRC or inner.size != info.file_size:
        scan.note("zip-crc-mismatch", where, "its checksum or size differs from what the archive says")
    return Entry(info.filename, inner)


def _unpack(source: Source, info: zipfile.ZipInfo, extent: _Extent, where: str, scan: Scan) -> Source:
    if info.flag_bits & _ENCRYPTED:
        raise UnreadableError("zip-entry-unreadable", "is encrypted")
    if extent.end > source.size:
        raise UnreadableError("zip-entry-unreadable", "reaches past the end of the archive")
    size = extent.end - extent.data
    if info.compress_type == zipfile.ZIP_STORED:
        scan.spend(size)
        return Source(where, size, lambda: window(source.open(), extent.data, size))
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise UnreadableError("zip-entry-unreadable", f"uses compression method {info.compress_type}")
    limit = scan.limits.entry_bytes
    packed = window(source.open(), extent.data, size)
    data = decompressed(packed, lambda: zlib.decompressobj(-zlib.MAX_WBITS), scan).read(limit + 1)
    if len(data) > limit:
        raise UnreadableError("limit-exceeded", f"unpacks to more than {limit} bytes")
    return bytes_source(data, where)


def _checksum(source: Source) -> int:
    stream, checksum = source.open(), 0
    while chunk := stream.read(_CHUNK):
        checksum = zlib.crc32(chunk, checksum)
    return checksum
