"""Child processes that end with their parent, and orphans told beyond doubt from other people's processes.

A child runs in a session of its own, so the terminal's Ctrl-C reaches only the parent, which then stops it in order.
If the parent is killed, Linux sends the child its stop signal (PR_SET_PDEATHSIG); elsewhere, and for a child that is
slow to stop, the next start finds the orphan through the pid file. PR_SET_PDEATHSIG follows the *thread* that started
the child: start children from the thread of the event loop, not from a worker thread.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from registry_core.local.errors import LocalStackError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_LIMIT = 10_000_000
_POLL = 0.01
_KILLED_WITHIN = 10.0
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # looked up here: not between fork and exec


@dataclass(frozen=True)
class Account:
    """An existing system account that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run. `argv` names something unique to this instance (a folder, a random id): orphans are known by it."""

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    account: Account | None = None
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0


class PidFile:
    """Names the child of whoever holds its lock. The lock falls with the holder, however it ends.

    So whoever gets the lock and finds a living child in the file has found an orphan of a killed parent.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Lock the file, making it where needed. Raises LocalStackError if another living process holds it."""
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                raise LocalStackError(f"{path.parent} is in use by another Hallmark process; stop that first") from None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return cls(path, fd)
            os.close(fd)  # removed by its former holder between the open and the lock

    def expect(self, argv: tuple[str, ...]) -> int:
        """Record the command line of the child to come, which fills in its pid itself. Gives the descriptor."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{0:10}\n{json.dumps(argv)}\n".encode(), 0)
        return self._fd

    async def end_orphan(self, stop_signal: signal.Signals, grace: float) -> None:
        """Stop the child that a killed parent left behind, if it still runs. Call with the lock just acquired."""
        pid, argv = self._recorded()
        if _runs(pid, argv):
            await _end(lambda: _runs(pid, argv), lambda number: os.kill(pid, number), stop_signal, grace)

    def release(self, *, remove: bool = False) -> None:
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)

    def _recorded(self) -> tuple[int, list[str]]:
        pid, _, argv = os.pread(self._fd, 1_000_000, 0).decode(errors="replace").partition("\n")
        try:
            return int(pid), list(json.loads(argv))
        except (ValueError, TypeError):
            return 0, []


def _runs(pid: int, argv: list[str]) -> bool:
    """Whether the process lives and is the recorded one: a pid alone may have been given to somebody else since."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return pid > 0 and process.status() != psutil.STATUS_ZOMBIE and process.cmdline() == argv
    return False


class Child:
    """A running program of ours."""

    def __init__(self, program: Program, process: "subprocess.Popen[bytes]") -> None:
        self.program = program
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def stop(self) -> None:
        """Ask it to stop, and after the grace kill it. Harmless when it has already ended."""
        await _end(lambda: self.alive, self._process.send_signal, self.program.stop_signal, self.program.grace)

    async def kill(self) -> None:
        await _end(lambda: self.alive, self._process.send_signal, signal.SIGKILL, _KILLED_WITHIN)

    async def finished(self) -> int:
        """Wait for its end; gives the exit code. If the waiting is cancelled, the program is stopped."""
        try:
            await until(lambda: not self.alive, float("inf"))
        finally:
            await self.stop()
        return self._process.wait()


def start(program: Program, pid_file: PidFile | None = None) -> Child:
    """Start the program, its output appended to its log. Raises LocalStackError if it cannot be executed."""
    descriptor = pid_file.expect(program.argv) if pid_file else None
    with _open_log(program.log) as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument vector, no shell
                program.argv,
                cwd=program.cwd,
                env=program.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_before_exec(os.getpid(), program.stop_signal, descriptor),  # noqa: PLW1509 - see there
                **_identity(program.account),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LocalStackError(f"{program.argv[0]} cannot be run: {error}; `hallmark doctor` tells more") from error
    return Child(program, process)


async def run(program: Program, pid_file: PidFile | None = None) -> None:
    """Run the program to its end. Raises LocalStackError with the end of its log unless it exits with 0."""
    code = await start(program, pid_file).finished()
    if code:
        raise LocalStackError(f"{program.argv[0]} failed with {code}; its log {program.log} ends:\n{tail(program.log)}")


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for the condition; gives False when the time has passed without it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def tail(log: Path, lines: int = 15) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def runs_as(account: Account, *argv: str) -> bool:
    """Whether the command succeeds as that account: the kernel's own answer on what the account can reach."""
    with suppress(OSError):  # what the account may not execute
        done = subprocess.run(  # noqa: S603 - an argument vector, no shell
            argv, cwd="/", capture_output=True, check=False, timeout=60, **_identity(account)
        )
        return done.returncode == 0
    return False


def _identity(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def _before_exec(parent: int, death_signal: int, descriptor: int | None) -> Callable[[], None]:
    """What the child does between fork and exec: system calls only, since other threads' locks stay held there.

    It comes after the change of account, which would clear the death signal.
    """

    def prepare() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the signal was asked for
            os._exit(1)
        if descriptor is not None:
            os.pwrite(descriptor, b"%10d" % os.getpid(), 0)

    return prepare


def _open_log(path: Path) -> Any:
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "wb", buffering=0)


async def _end(
    alive: Callable[[], bool], send: Callable[[int], None], stop_signal: signal.Signals, grace: float
) -> None:
    try:
        for number, seconds in ((stop_signal, grace), (signal.SIGKILL, _KILLED_WITHIN)):
            with suppress(ProcessLookupError):
                if alive():
                    send(number)
            if await until(lambda: not alive(), seconds):
                return
        raise LocalStackError("a child process does not end even when killed; its disk may be hanging")
    finally:
        with suppress(ProcessLookupError):
            if alive():  # cancelled while waiting
                send(signal.SIGKILL)
