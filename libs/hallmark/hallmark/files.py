"""Local files as versions know them: named, hashed, read in pieces."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError
from registry_core.values import File

from hallmark.errors import HallmarkError


def named(paths: Sequence[str | Path]) -> dict[str, Path]:
    """Files by their name in the version: a file by its own, a folder's by their path inside it.

    Raises HallmarkError for what is missing, empty or named twice.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        for name, file in _files_of(path):
            if name in found:
                raise _unusable(f"{found[name]} and {file} would both be {name}", "rename one of them")
            found[name] = file
    if paths and not found:
        raise _unusable("there are no files in " + ", ".join(map(str, paths)), "name the files to register")
    return found


def _files_of(path: Path) -> list[tuple[str, Path]]:
    if path.is_dir():
        return [(file.relative_to(path).as_posix(), file) for file in sorted(path.rglob("*")) if file.is_file()]
    if not path.is_file():
        raise _unusable(f"there is no file {path}", "check the path")
    return [(path.name, path)]


def described(files: Mapping[str, Path]) -> tuple[File, ...]:
    """Each file with digest and size, hashed in constant memory. Raises HallmarkError for an unusable name."""
    return tuple(_described(name, path) for name, path in sorted(files.items()))


def _described(name: str, path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    try:
        return File(name=name, digest=f"sha256:{digest}", size=size)
    except ValidationError as error:
        fix = "use letters, digits, `.`, `_`, `-` and `/`"
        raise _unusable(f"{name!r} cannot be the name of a version's file", fix) from error


def content(path_or_bytes: str | Path | bytes) -> bytes:
    """Bytes as they are, or a file's."""
    if isinstance(path_or_bytes, bytes):
        return path_or_bytes
    with suppress(FileNotFoundError):
        return Path(path_or_bytes).read_bytes()
    raise _unusable(f"there is no file {path_or_bytes}", "check the path")


def _unusable(detail: str, fix: str) -> HallmarkError:
    return HallmarkError("Unusable file", detail, fix=fix)
