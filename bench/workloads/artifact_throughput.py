"""A large file into the registry and out again, beside plain copies that are verified the same way."""

import asyncio
import json
import random
import shutil
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from bench.ingesting import ingestion
from bench.object_server import as_texts, bucket, s3_server
from bench.place import Place, run_program
from bench.timing import timed
from bench.workload import Sample, Sides, ratio_at_least, workload

MEGABYTES = 512
VOLUMES = 64
"""Of 128 MB: what a run of six rounds stores, twice while it is put together."""


@workload("artifact_throughput", "MB/s", ratio_at_least(0.6))
async def artifact_throughput(place: Place) -> AsyncIterator[Sides]:
    """The SDK registers, uploads and downloads 512 MB, verified at each end; twice cp, and sha256sum of each copy."""
    async with ingestion(place, 1) as ((port,), token):
        yield _sides(place, port, token)


@workload("artifact_throughput_s3", "MB/s")
async def artifact_throughput_s3(place: Place) -> AsyncIterator[Sides]:
    """The same with the artifacts in an S3 server on this machine, which writes and reads all of it once more."""
    folder = place.folder / "s3"
    folder.mkdir()
    async with (
        s3_server(folder, volumes=VOLUMES) as endpoint,
        ingestion(place, 1, as_texts(bucket(endpoint, "bench"))) as ((port,), token),
    ):
        yield _sides(place, port, token)


def _sides(place: Place, port: int, token: str) -> Sides:
    dice, numbers = random.Random(place.seed), count()
    source, folder = place.folder / "model.bin", place.folder / "transfers"

    def fresh() -> Path:
        """New content each time: what the store has is not written again."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        source.write_bytes(b"".join(dice.randbytes(1_000_000) for _ in range(MEGABYTES)))
        return folder / "to"

    async def up_and_down(to: Path) -> float:
        ref = f"model:large@1.0.{next(numbers)}"
        wanted = {"url": f"http://127.0.0.1:{port}", "token": token, "path": str(source), "to": str(to), "ref": ref}
        await run_program(sys.executable, "-m", "bench.transfer", json.dumps(wanted))
        return 2 * MEGABYTES

    async def copy_twice(to: Path) -> float:
        for name in ("there", "back"):
            await run_program("cp", str(source), f"{to}.{name}")
            await run_program("sha256sum", f"{to}.{name}")
        return 2 * MEGABYTES

    async def ours() -> Sample:
        to = await asyncio.to_thread(fresh)
        return await timed(lambda: up_and_down(to))

    async def reference() -> Sample:
        to = await asyncio.to_thread(fresh)
        return await timed(lambda: copy_twice(to))

    return Sides(ours, reference)
