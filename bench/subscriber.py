"""A client of a view's live subscription, in a process of its own: when each row arrived.

    python -m bench.subscriber <url> <token> <rows>

Prints `listening` at the first line of the stream, and after so many rows one JSON object: log index to time, as
`time.perf_counter` has it, which is one clock for all processes of a machine.
"""

import asyncio
import json
import sys
from time import perf_counter

import httpx


async def _arrivals(url: str, token: str, rows: int) -> dict[int, float]:
    arrived: dict[int, float] = {}
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(timeout=None, headers=headers) as http,  # noqa: S113 - it stays open
        http.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        listening = False
        async for line in answer.aiter_lines():
            if not listening:
                print("listening", flush=True)
                listening = True
            if line.startswith("data: {"):
                arrived[json.loads(line[6:])["log_index"]] = perf_counter()
                if len(arrived) == rows:
                    break
    return arrived


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_arrivals(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
