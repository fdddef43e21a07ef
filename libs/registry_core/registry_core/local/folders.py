"""Folders that appear whole or not at all, and that nobody else can have prepared."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry_core.local.errors import LocalStackError


def own_folder(path: Path, mode: int = 0o700) -> Path:
    """Make the folder with this mode, or accept one that is ours and that no other account can write to.

    In a folder like /tmp anybody may have made it first; then it is refused.
    """
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)
    except FileExistsError:
        _check_ours(path)
    return path


def _check_ours(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise LocalStackError(f"{path} is not a folder that only this account can write to; look at it and remove it")


def private_temporary_folder() -> Path:
    """One folder for each account in the system's temporary folder, kept between runs."""
    return own_folder(Path(tempfile.gettempdir()).resolve() / f"hallmark-{os.geteuid()}")


@contextmanager
def built_whole(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` by a rename when the block ends without an error.

    A kill leaves only a dot folder beside it, which `remove_leftovers` finds. If another process was first, its result
    is kept.
    """
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    with _locked(scratch):
        try:
            yield scratch
            _rename(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove what killed attempts to build or remove `target` left beside it, and not what others are building now."""
    for leftover in target.parent.glob(f".{target.name}-*"):
        with suppress(OSError), _locked(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def remove_whole(folder: Path) -> None:
    """Remove the folder at once for whoever looks at it: a kill in the middle leaves only a dot folder beside it."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    folder.rename(scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def _rename(scratch: Path, target: Path) -> None:
    try:
        scratch.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it falls with the process, so that a leftover can be told from work in progress."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)
