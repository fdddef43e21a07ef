"""Downloads: a version's files into a folder."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, Literal

import anyio.to_thread
import httpx
from pydantic import ValidationError
from registry_core.values import File

from hallmark.aio.api.versions import Versions
from hallmark.errors import HallmarkError
from hallmark.meter import Meter, Progress
from hallmark.partial import Partial, has_content, place
from hallmark.wire import Call, Document, read, version_path

RANGE_NOT_SATISFIABLE: Final = 416
_PIECE: Final = 256 * 1024
Outcome = Literal["downloaded", "present"]


class Downloads(Versions):
    async def download(
        self,
        ref: str,
        folder: str | Path = ".",
        files: Sequence[str] | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Document:
        """Write a version's files, or those named, into a folder, each verified by its SHA-256.

        What is there already and the same is not sent; what broke off goes on where it was, also when the server is
        away for a while. A file of other content stays unless `overwrite`. Raises HallmarkError, OSError.
        """
        where = Path(folder)
        wanted = await self.files_of(ref, files)
        targets = {file: place(where, file.name) for file in wanted}
        known = {file for file, target in targets.items() if await anyio.to_thread.run_sync(has_content, target, file)}
        if not overwrite:
            _refuse_to_replace([target for file, target in targets.items() if file not in known and target.exists()])
        done = [await self._obtain(ref, file, target, file in known, progress) for file, target in targets.items()]
        return {"ref": ref, "folder": str(where), "files": done}

    async def files_of(self, ref: str, names: Sequence[str] | None = None) -> list[File]:
        """A version's files with digest and size, or those named. Raises HallmarkError that tells what is not there."""
        found = await self.version(ref)
        files = [_file(item) for item in found["files"]]
        if lost := sorted(set(names or ()) - {file.name for file in files}):
            there = ", ".join(file.name for file in files[:20])
            raise HallmarkError("Not found", f"{ref} has no file {', '.join(lost)}", fix=f"its files are: {there}")
        wanted = [file for file in files if names is None or file.name in names]
        stored = {item["name"] for item in found["files"] if item.get("uri")}
        if absent := [file.name for file in wanted if file.name not in stored]:
            fix = f"whoever registered it uploads it: hallmark upload {ref} {absent[0]}"
            raise HallmarkError("Not uploaded", f"{', '.join(absent)} of {ref} was never uploaded", fix=fix)
        return wanted

    async def _obtain(self, ref: str, file: File, target: Path, known: bool, progress: Progress | None) -> Document:
        outcome: Outcome = "present" if known else "downloaded"
        meter = Meter(progress)
        if not known:
            target.parent.mkdir(parents=True, exist_ok=True)
            with Partial(target, file) as partial:
                await anyio.to_thread.run_sync(partial.take_up)
                await self._fetch(read(version_path(ref, "files", file.name)), partial, meter)
        size = target.stat().st_size
        meter.at(size)
        return {**file.model_dump(), "path": str(target), "size": size, "outcome": outcome}

    async def _fetch(self, call: Call, partial: Partial, meter: Meter) -> None:
        """Ask for what is missing, until nothing is."""

        async def attempt() -> None:
            meter.at(partial.position)
            if not partial.complete:
                await self._receive(call, partial, meter)

        try:
            await self.retrying(attempt, lambda: partial.moved)
        except HallmarkError as error:
            if error.status != RANGE_NOT_SATISFIABLE or not partial.position:
                raise
            partial.restart()  # what was there is as long as the file, and not the file
            await self.retrying(attempt, lambda: partial.moved)
        await anyio.to_thread.run_sync(partial.finish)

    async def _receive(self, call: Call, partial: Partial, meter: Meter) -> None:
        async with self.opened(call, partial.headers) as response:
            partial.begin(response.status_code, response.headers)
            async for piece in _pieces(response):
                await anyio.to_thread.run_sync(partial.write, piece)
                meter.at(partial.position)


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """What comes, gathered, since writing has its price each time; what came before a break is not lost."""
    held, broken = bytearray(), None
    try:
        async for chunk in response.aiter_bytes():
            held += chunk
            if len(held) >= _PIECE:
                yield bytes(held)
                held.clear()
    except httpx.TransportError as error:
        broken = error
    if held:
        yield bytes(held)
    if broken:
        raise broken


def _file(described: Document) -> File:
    """A file as the server describes it: its name decides where something is written, so it is checked here."""
    try:
        return File.model_validate({name: described.get(name) for name in ("name", "digest", "size")})
    except ValidationError as error:
        raise HallmarkError(
            "Unsafe name", f"the server names a file that no version can have: {str(described.get('name'))[:200]!r}",
            fix="see that the URL is Hallmark's, and that client and server are of the same release",
        ) from error  # fmt: skip


def _refuse_to_replace(others: Sequence[Path]) -> None:
    if others:
        names = ", ".join(map(str, others[:20]))
        raise HallmarkError(
            "Exists", f"there is other content at {names}", fix="choose another folder with --to, or add --overwrite"
        )
