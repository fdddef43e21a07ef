"""Exports a log and tells the most memory it took: `python -m bench.export_memory <JSON of a database and path>`."""

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter

from bench.exporting import export
from bench.memory import peak_megabytes
from bench.place import Database


def main() -> None:
    arguments = json.loads(sys.argv[1])
    path, started = Path(arguments.pop("path")), perf_counter()
    asyncio.run(export(Database(**arguments), path))
    print(
        json.dumps(
            {"bytes": path.stat().st_size, "seconds": perf_counter() - started, "rss_mb": round(peak_megabytes(), 1)}
        )
    )


if __name__ == "__main__":
    main()
