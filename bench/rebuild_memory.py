"""Rebuilds a projection and tells the most memory it took: `python -m bench.rebuild_memory <JSON of a database>`."""

import asyncio
import json
import sys
from time import perf_counter

from hallmark_console.projections.version_overview import VERSION_OVERVIEW

from bench.memory import peak_megabytes
from bench.place import Database, pool_of
from bench.workloads.replay import install, rebuilt


async def _rebuild(database: Database) -> None:
    await install(database, VERSION_OVERVIEW)
    async with pool_of(database) as pool:
        await rebuilt(database, pool, VERSION_OVERVIEW)


def main() -> None:
    started = perf_counter()
    asyncio.run(_rebuild(Database(**json.loads(sys.argv[1]))))
    print(json.dumps({"seconds": perf_counter() - started, "rss_mb": round(peak_megabytes(), 1)}))


if __name__ == "__main__":
    main()
