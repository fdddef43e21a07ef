"""Files as the registry names them: relative name, SHA-256, size."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_core.values import File, content_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file to register and where its bytes lie."""

    file: File
    path: Path


def local_file(path: Path, name: str | None = None) -> LocalFile:
    """Hash a file in constant memory. `name` is its name within the version, by default the file's own."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    file = File(name=name or path.name, digest=f"sha256:{digest}", size=path.stat().st_size)
    return LocalFile(file=file, path=path)


def digest_of(files: Iterable[LocalFile]) -> str:
    """The checksum that a version made of these files has in the registry."""
    return content_digest(f.file for f in files)


def total_size(files: Iterable[LocalFile]) -> int:
    """Bytes of all files together."""
    return sum(f.path.stat().st_size for f in files)


def write_json(path: Path, document: Mapping[str, object]) -> Path:
    """Write indented UTF-8 JSON. Raises ValueError on NaN or infinity: a measurement that failed is no number."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path
