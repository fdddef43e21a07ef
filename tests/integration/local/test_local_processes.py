"""Nothing is killed that is not provably ours; folders appear whole; ports are free."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.local import ports
from registry_core.local.errors import LocalStackError
from registry_core.local.folders import built_whole, own_folder, remove_leftovers, remove_whole
from registry_core.local.processes import PidFile, Program, run, start, until

SLEEP = ("sleep", "60")


@pytest.fixture(scope="module")
def stranger():
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def end_orphan_named_by(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pid"
        path.write_bytes(content)
        pid_file = PidFile.acquire(path)
        asyncio.run(pid_file.end_orphan(signal.SIGTERM, grace=1))
        pid_file.release()


@settings(max_examples=50, deadline=None)
@given(content=st.binary() | st.text().map(str.encode))
def test_a_damaged_pid_file_names_no_orphan(content: bytes):
    end_orphan_named_by(content)


@settings(max_examples=50, deadline=None)
@given(argv=st.lists(st.text(), max_size=4))
def test_a_process_that_got_the_pid_of_a_dead_child_is_left_alone(stranger: subprocess.Popen[bytes], argv: list[str]):
    end_orphan_named_by(f"{stranger.pid:10}\n{json.dumps(argv)}\n".encode())
    assert stranger.poll() is None


async def test_an_orphan_with_the_recorded_command_line_is_stopped(tmp_path: Path):
    pid_file = PidFile.acquire(tmp_path / "x.pid")
    child = start(Program(SLEEP, tmp_path, tmp_path / "log"), pid_file)
    pid_file.release()  # as a kill of the parent does
    again = PidFile.acquire(tmp_path / "x.pid")
    await again.end_orphan(signal.SIGTERM, grace=5)
    assert not child.alive
    again.release(remove=True)
    assert not (tmp_path / "x.pid").exists()


async def test_a_held_pid_file_is_refused(tmp_path: Path):
    held = PidFile.acquire(tmp_path / "x.pid")
    with pytest.raises(LocalStackError, match="in use by another Hallmark process"):
        PidFile.acquire(tmp_path / "x.pid")
    held.release()
    PidFile.acquire(tmp_path / "x.pid").release()


async def test_a_child_that_ignores_the_stop_signal_is_killed(tmp_path: Path):
    ignoring = ("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    child = start(Program(ignoring, tmp_path, tmp_path / "log", grace=0.1))
    assert await until(lambda: "ready" in (tmp_path / "log").read_text(), 10)
    await child.stop()
    assert not child.alive


async def test_cancelling_a_stop_still_kills_the_child(tmp_path: Path):
    ignoring = ("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    child = start(Program(ignoring, tmp_path, tmp_path / "log", grace=60))
    assert await until(lambda: "ready" in (tmp_path / "log").read_text(), 10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(child.stop(), 0.1)
    assert await until(lambda: not child.alive, 10)


async def test_cancelling_a_run_stops_the_program(tmp_path: Path):
    pid_file = PidFile.acquire(tmp_path / "x.pid")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(Program(SLEEP, tmp_path, tmp_path / "log"), pid_file), 0.2)
    pid = int((tmp_path / "x.pid").read_text().split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    pid_file.release()


async def test_a_failing_program_tells_the_end_of_its_log(tmp_path: Path):
    failing = (sys.executable, "-c", "raise SystemExit('the disk is full')")
    with pytest.raises(LocalStackError, match="the disk is full"):
        await run(Program(failing, tmp_path, tmp_path / "log"))


async def test_a_program_that_cannot_be_executed_is_told(tmp_path: Path):
    with pytest.raises(LocalStackError, match="cannot be run"):
        await run(Program((str(tmp_path / "absent"),), tmp_path, tmp_path / "log"))


async def test_a_long_log_is_set_aside_at_the_next_start(tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 10_000_001)
    await run(Program(("echo", "new"), tmp_path, log))
    assert log.read_text() == "new\n"
    assert (tmp_path / "log.1").stat().st_size == 10_000_001


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    def build_and_fail() -> None:
        with built_whole(tmp_path / "made") as scratch:
            (scratch / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        build_and_fail()
    assert list(tmp_path.iterdir()) == []
    with built_whole(tmp_path / "made") as scratch:
        (scratch / "file").write_text("x")
        assert not (tmp_path / "made").exists()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["file"]


def test_of_two_builders_the_first_wins_and_neither_removes_the_other_s_work(tmp_path: Path):
    with built_whole(tmp_path / "made") as slow:
        (slow / "by").write_text("slow")
        remove_leftovers(tmp_path / "made")
        assert (slow / "by").exists()
        with built_whole(tmp_path / "made") as fast:
            (fast / "by").write_text("fast")
    assert (tmp_path / "made" / "by").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_leftovers_of_killed_builders_are_removed(tmp_path: Path):
    (tmp_path / ".made-killed").mkdir()
    (tmp_path / ".made-killed" / "half").write_text("x")
    remove_leftovers(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_removed_folder_leaves_nothing(tmp_path: Path):
    (tmp_path / "made" / "inner").mkdir(parents=True)
    remove_whole(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_could_have_prepared_is_refused(tmp_path: Path):
    assert own_folder(tmp_path / "ours") == own_folder(tmp_path / "ours")
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("link", "open"):
        with pytest.raises(LocalStackError, match="look at it and remove it"):
            own_folder(tmp_path / name)


def test_a_taken_port_is_passed_over_for_one_near_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.choose(port) != port
        assert ports.is_free(ports.choose(port))


def test_of_two_that_want_one_port_each_gets_one_of_its_own_and_keeps_it():
    with ports.listen("127.0.0.1", 0) as first, ports.listen("127.0.0.1", first.getsockname()[1]) as second:
        taken, near = first.getsockname()[1], second.getsockname()[1]
        assert near != taken
        assert not ports.is_free(taken)
        assert not ports.is_free(near)


def test_an_address_of_another_machine_is_told():
    with pytest.raises(LocalStackError, match=r"cannot listen on 192\.0\.2\.1.*HALLMARK_HOST"):
        ports.listen("192.0.2.1", 8080)


@given(preferred=st.none() | st.integers(min_value=1024, max_value=65535))
@settings(max_examples=50, deadline=None)
def test_the_chosen_port_is_free(preferred: int | None):
    assert ports.is_free(ports.choose(preferred))


def test_an_impossible_port_is_not_free():
    assert not ports.is_free(70_000)
