"""One scan in a process of its own, which gives up what it can before it looks at the file.

The process gets the file as its standard input, opened by the caller, and an empty environment.
"""

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from hallmark_scanner.artifacts.report import ScanReport, report_from_fields
from hallmark_scanner.readers.limits import Limits
from hallmark_scanner.readers.reading import failed_scan, file_digest

DEFAULT_LIMITS = Limits()
_REPORT_BYTES = 4 * 1024 * 1024


async def scan_in_sandbox(path: Path, name: str, limits: Limits = DEFAULT_LIMITS) -> ScanReport:
    """Scan one file apart from this process.

    A crash, a timeout or a kill is a report, too: for review, not read completely. Raises OSError where the file cannot
    be opened.
    """
    stream = await asyncio.to_thread(path.open, "rb")
    with stream:
        answer = await _run(stream, name, limits)
        if isinstance(answer, ScanReport):
            return answer
        return report_from_fields(failed_scan(answer, await asyncio.to_thread(file_digest, stream)))


async def _run(stream: BinaryIO, name: str, limits: Limits) -> ScanReport | str:
    """The process's report, or why there is none."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-B", "-m", "hallmark_scanner.sandbox_child", json.dumps([name, asdict(limits)])),
        stdin=stream,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.wall_seconds):
            output = await _read_report(process.stdout)
            code = await process.wait()
    except TimeoutError:
        return f"the scan took longer than {limits.wall_seconds} s"
    finally:
        await _end(process)
    return _parse(output, code)


async def _read_report(stream: asyncio.StreamReader | None) -> bytes:
    output = b""
    while stream is not None and len(output) < _REPORT_BYTES and (chunk := await stream.read(_REPORT_BYTES)):
        output += chunk
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _parse(output: bytes, code: int) -> ScanReport | str:
    if code == -signal.SIGXCPU:
        return "the scan used up its processor time"
    if code != 0:
        return f"the scanning process ended by {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
    try:
        return report_from_fields(json.loads(output))
    except (ValueError, KeyError, TypeError):
        return "the scanning process gave no readable report"
