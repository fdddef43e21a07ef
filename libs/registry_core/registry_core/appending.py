"""Appending to an object that is a file: what object stores do not do, and a folder does."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

AT_ONCE: Final = 1024 * 1024
"""Bytes written at once."""


class BusyError(Exception):
    """Another request is at this file."""


@contextmanager
def held(path: Path, *, new: bool = False) -> Iterator[BinaryIO]:
    """The file, for nobody else meanwhile; `new` makes it where it is absent. Raises BusyError, FileNotFoundError.

    The lock is the file's own, so a killed process leaves none. A file that has left its place is not to be written to:
    its content may be an object by now.
    """
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if new else 0)
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError from error
        if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BusyError
        yield file


async def gathered(chunks: AsyncIterable[bytes], size: int = AT_ONCE) -> AsyncIterable[bytes]:
    """The same bytes in chunks of at least `size`, but for the last; what came before an error comes before it, too."""
    waiting: list[bytes] = []
    try:
        async for chunk in chunks:
            waiting.append(chunk)
            if sum(map(len, waiting)) >= size:
                yield b"".join(waiting)
                waiting.clear()
    except Exception:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


async def write_file(path: Path, chunks: AsyncIterable[bytes]) -> None:
    """A new file with these bytes; none where they end in an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with await asyncio.to_thread(path.open, "xb") as file:
            async for chunk in gathered(chunks):
                await asyncio.to_thread(file.write, chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
