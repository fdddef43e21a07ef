"""Offline verification of an export, beside sha256sum over the same bytes."""

import os
from collections.abc import AsyncIterator

from registry_core.proofs.pack import verify_pack

from bench.exporting import export
from bench.filling import filled
from bench.place import Place, run_program
from bench.timing import timed
from bench.workload import Sample, Sides, ratio_at_least, workload

EVENTS = 100_000
_MEGABYTE = 1e6


@workload("verify", "MB/s", ratio_at_least(0.3))
async def verify(place: Place) -> AsyncIterator[Sides]:
    """`hallmark audit verify` of an export of 100,000 events, on all processors; sha256sum over the same file."""
    path = place.folder / "log.hallmark"
    database = await filled(place, EVENTS)
    vkey = (await export(database, path)).vkey
    megabytes = path.stat().st_size / _MEGABYTE

    async def verify_once() -> float:
        with path.open("rb") as file:
            report = verify_pack(file, [vkey], processes=os.cpu_count() or 1)
        assert report.ok
        assert report.events == EVENTS
        return megabytes

    async def hash_once() -> float:
        await run_program("sha256sum", str(path))
        return megabytes

    async def ours() -> Sample:
        return await timed(verify_once)

    async def reference() -> Sample:
        return await timed(hash_once)

    yield Sides(ours, reference)
