"""What a backup holds, and whether it is still what was written."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

NAME: Final = "manifest.json"
DUMP: Final = "database.dump"
CHECKPOINT: Final = "checkpoint.note"
ARTIFACT_LIST: Final = "artifacts.txt"
ARTIFACTS: Final = "artifacts"
_CHUNK: Final = 1 << 20
Count = Callable[[int], None]
"""Takes the bytes of each step, for a progress bar."""


class BackupError(RuntimeError):
    """A backup or restore that cannot be done; the message tells why and how to mend it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    bytes: int
    sha256: str


class Log(_Part):
    """The log in the dump."""

    events: int
    size: int
    """Sealed events."""
    root: str
    """Hex; the RFC 6962 root over the sealed events."""


class Key(_Part):
    name: str
    id: str
    """Hex SHA-256 of the raw public key."""


class Manifest(_Part):
    format: Literal["hallmark backup/v1"] = "hallmark backup/v1"
    made_at: AwareDatetime
    server: str
    """Version of the PostgreSQL that was dumped."""
    log: Log
    keys: tuple[Key, ...]
    """Private keys of the installation, which are not in the backup."""
    artifacts: int | None
    """How many; None where the artifacts are in a store of their own and were left there."""
    damaged: tuple[str, ...] = ()
    """Digests of artifacts whose bytes in the store are not theirs; they were left out."""
    files: dict[str, File]


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError where there is no whole backup."""
    try:
        return Manifest.model_validate_json((folder / NAME).read_bytes())
    except FileNotFoundError:
        raise BackupError(f"{folder} is no backup: it has no {NAME}; a backup that was cut off has none") from None
    except ValidationError as error:
        raise BackupError(f"{folder / NAME} is damaged: {error.errors()[0]['msg']}; take another backup") from None


def check_files(folder: Path, manifest: Manifest, count: Count = lambda _: None) -> None:
    """Raises BackupError that names the first file that is missing or not as it was written."""
    for name, expected in manifest.files.items():
        if (found := describe(folder / name, count)) != expected:
            raise BackupError(
                f"{folder / name} is damaged: {found.bytes} bytes with SHA-256 {found.sha256[:16]}…, "
                f"written were {expected.bytes} with {expected.sha256[:16]}…; take another backup"
            )


def describe(path: Path, count: Count = lambda _: None) -> File:
    """Size and digest. Raises BackupError when it is not there."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                count(len(chunk))
    except FileNotFoundError:
        raise BackupError(f"{path} is missing; take another backup") from None
    return File(bytes=size, sha256=digest.hexdigest())


def listed_artifacts(folder: Path) -> Iterator[tuple[str, int]]:
    """Digest and size of each artifact in the backup."""
    with (folder / ARTIFACT_LIST).open() as lines:
        for line in lines:
            digest, size = line.split()
            yield digest, int(size)
