"""Private keys, which go to a folder of their own and never into the backup."""

import shutil
from pathlib import Path

from registry_core.backup.manifest import BackupError, Key, Manifest
from registry_core.local.folders import built_whole
from registry_core.proofs.keys import key_id, load_key


def key_ids(folder: Path | None) -> tuple[Key, ...]:
    """Which keys an installation has."""
    paths = sorted(folder.glob("*.pem")) if folder else []
    return tuple(Key(name=path.stem, id=_id(path)) for path in paths)


def _id(path: Path) -> str:
    return key_id(load_key(path).public_key())


def save_keys(keys: Path, folder: Path) -> list[str]:
    """Copy an installation's private keys to a folder that only its owner can read; their names. Raises BackupError."""
    if folder.exists():
        raise BackupError(f"{folder} exists already; name a new folder for the keys")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with built_whole(folder) as scratch:
        return [_copy_key(path, scratch) for path in sorted(keys.glob("*.pem"))]


def put_keys_back(folder: Path, keys: Path, expected: Manifest) -> list[str]:
    """Copy the saved keys that the backup names to an installation. Raises BackupError, and then changes nothing."""
    for key in expected.keys:
        for place in (folder / f"{key.name}.pem", keys / f"{key.name}.pem"):
            if place.exists() and _id(place) != key.id:
                raise BackupError(f"{place} is not the key {key.id[:16]}… of the backup; move it away")
        if not (folder / f"{key.name}.pem").exists():
            raise BackupError(f"{folder} has no {key.name}.pem, which the backup was made beside")
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = [folder / f"{key.name}.pem" for key in expected.keys]
    return [_copy_key(path, keys) for path in wanted if not (keys / path.name).exists()]


def _copy_key(path: Path, folder: Path) -> str:
    load_key(path)
    target = folder / path.name
    target.touch(mode=0o600, exist_ok=False)
    shutil.copyfile(path, target)
    return path.stem
