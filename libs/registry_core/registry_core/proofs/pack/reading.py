"""Cuts a pack into lines, and reads runs of events ahead, in other processes where there is much to read."""

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import BinaryIO

from registry_core.proofs.pack.lines import LONGEST_LINE
from registry_core.proofs.plain_event import Run, read_run

_TOGETHER, _MOST_BYTES = 512, 4 * 1024 * 1024
_AHEAD = 4  # batches for each process: they are what is held in memory

Batch = tuple[list[bytes], Run | None]
"""Lines, and what they hold if they are a run of events in their usual form."""


def read_batches(stream: BinaryIO, processes: int) -> Iterator[Batch]:
    """The whole file in order. With `processes` above 1, so many read ahead."""
    batches = _some(_lines(stream))
    if processes < 2:
        for first_line, lines in batches:
            yield lines, read_run(lines, first_line)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from _ahead(pool, batches, processes * _AHEAD)


def _ahead(pool: Executor, batches: Iterator[tuple[int, list[bytes]]], most: int) -> Iterator[Batch]:
    waiting = deque[tuple[list[bytes], Future[Run | None]]]()
    for first_line, lines in batches:
        waiting.append((lines, pool.submit(read_run, lines, first_line)))
        if len(waiting) > most:
            ready, run = waiting.popleft()
            yield ready, run.result()
    for ready, run in waiting:
        yield ready, run.result()


def _some(lines: Iterator[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Several lines at a time, with the number of the first."""
    first, some, size = 1, list[bytes](), 0
    for raw in lines:
        some.append(raw)
        size += len(raw)
        if len(some) == _TOGETHER or size >= _MOST_BYTES:
            yield first, some
            first, some, size = first + len(some), [], 0
    if some:
        yield first, some


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines as they are; of one that is too long the beginning only, the rest skipped in pieces."""
    while raw := stream.readline(LONGEST_LINE + 1):
        piece = raw
        while len(raw) > LONGEST_LINE and piece and not piece.endswith(b"\n"):
            piece = stream.readline(1 << 20)
        yield raw
