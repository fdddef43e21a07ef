"""Manifests as files in a folder, from where a GitOps controller or `kubectl apply` takes them."""

import asyncio
import os
import secrets
from pathlib import Path

from hallmark_lifecycle.manifest import Manifest


class ManifestFolder:
    """A provisioning target: writes each manifest whole or not at all, so that a reader never sees half of one."""

    name = "kserve"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def apply(self, manifest: Manifest) -> str:
        """Write it, again if need be; its path. Raises OSError."""
        return str(await asyncio.to_thread(self._write, manifest))

    def _write(self, manifest: Manifest) -> Path:
        path = self._folder.absolute() / manifest.path
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_durably(draft, manifest.content)
            draft.replace(path)
            _sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
        return path


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename lasts through a power cut only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
