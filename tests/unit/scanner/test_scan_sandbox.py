"""The scanning process: what it may do, and what becomes of a scan that does not end well."""

import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hallmark_scanner.artifacts import Limits, scan_file
from hallmark_scanner.sandbox import scan_in_sandbox


async def test_the_sandbox_reports_what_a_scan_in_process_reports(tmp_path: Path):
    path = tmp_path / "file"
    for data in (pickle.dumps([1, 2]), b"cos\nsystem\n(S'true'\ntR.", b"\x00\x01unknown"):
        path.write_bytes(data)
        report = await scan_in_sandbox(path, "model.pkl")
        assert replace(report, isolation=()) == scan_file(path, name="model.pkl")


async def test_the_report_says_what_kept_the_process_apart(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    isolation = (await scan_in_sandbox(path, "a.txt")).isolation
    assert "empty environment" in isolation
    assert any("seccomp" in measure for measure in isolation)
    assert any("network" in measure for measure in isolation)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(wall_seconds=0.001), "longer than"),
        (Limits(memory_bytes=2**20), "ended by"),
        (Limits(cpu_seconds=0), "SIG"),
    ],
)
async def test_a_scan_that_is_killed_is_for_review(limits: Limits, reason: str, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    report = await scan_in_sandbox(path, "a.txt", limits)
    assert (report.verdict, report.read_completely) == ("review", False)
    assert [finding.rule for finding in report.findings] == ["scan-failed"]
    assert report.digest == scan_file(path).digest


async def test_a_file_that_wants_too_much_memory_is_for_review(tmp_path: Path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vocabulary.txt", bytes(2**27))
    report = await scan_in_sandbox(path, "model.zip", Limits(memory_bytes=2**28))
    assert (report.verdict, report.read_completely) == ("review", False)


async def test_a_missing_file_is_an_error_of_the_caller(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        await scan_in_sandbox(tmp_path / "none", "none")


ATTEMPT = """
import errno, os, socket
from hallmark_scanner.isolation import isolate
from hallmark_scanner.readers.limits import Limits
print(*isolate(Limits()), sep="|", flush=True)
try:
    {attempt}
    outcome = "allowed"
except OSError as error:
    outcome = errno.errorcode[error.errno]
os.write(1, outcome.encode())
"""


@pytest.mark.parametrize(
    "attempt",
    ["socket.socket()", "open('/etc/passwd')", "os.fork()", "os.execv('/bin/true', ['true'])", "os.kill(1, 0)"],
)
def test_an_isolated_process_is_refused_what_a_scan_does_not_need(attempt: str):
    done = subprocess.run(
        [sys.executable, "-I", "-c", ATTEMPT.format(attempt=attempt)], capture_output=True, text=True, check=False
    )
    measures, outcome = done.stdout.rsplit("\n", 1)
    if "NOT held: no system call" in measures:
        pytest.skip(f"this machine has no seccomp: {measures}")
    assert outcome == "EPERM", done.stderr
