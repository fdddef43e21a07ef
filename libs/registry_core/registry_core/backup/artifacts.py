"""Artifacts into a backup and back: each is compared with its digest on the way."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from registry_core.backup import manifest
from registry_core.backup.manifest import BackupError, Count
from registry_core.objects import ObjectStorage
from registry_core.problems import Problem

_ANY_SIZE: Final = 1 << 62


async def copy_out(folder: Path, source: ObjectStorage, count: Count) -> tuple[int, tuple[str, ...]]:
    """Copy and list all artifacts; how many, and the digests of those whose bytes are not theirs any more."""
    target, copied, damaged = ObjectStorage.in_folder(folder / manifest.ARTIFACTS), 0, list[str]()
    with (folder / manifest.ARTIFACT_LIST).open("x") as names:
        async for digest in source.digests():
            try:
                size = await _copy(digest, source, target, count)
            except Problem as problem:
                if problem.slug != "wrong-digest":
                    raise
                damaged.append(digest)
                continue
            names.write(f"{digest} {size}\n")
            copied += 1
    return copied, tuple(damaged)


async def copy_back(folder: Path, target: ObjectStorage, count: Count) -> None:
    """Copy what is listed and not there yet. Raises BackupError that names the damaged or missing file."""
    source = ObjectStorage.in_folder(folder / manifest.ARTIFACTS)
    for digest, _ in manifest.listed_artifacts(folder):
        if await target.has(digest):
            continue
        try:
            await _copy(digest, source, target, count)
        except Problem as problem:
            where = folder / manifest.ARTIFACTS / ObjectStorage.path_of(digest)
            raise BackupError(f"{where} is damaged or missing: {problem}; take another backup") from problem


async def _copy(digest: str, source: ObjectStorage, target: ObjectStorage, count: Count) -> int:
    async def counted() -> AsyncIterator[bytes]:
        async for chunk in source.stream(digest):
            count(len(chunk))
            yield chunk

    return await target.put_stream(digest, counted(), _ANY_SIZE)
