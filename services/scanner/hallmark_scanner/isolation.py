"""What a process can give up for good, without privileges, before it reads a hostile file.

Each measure that fails is said so in the answer; none of them is needed for a correct scan.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Callable

from hallmark_scanner.readers.limits import Limits

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET = 0, 4

# Reading, memory, signals, time and exit: no open, no socket, no new process.
# The calls, in the order of the numbers below: read write close fstat lseek mmap mprotect munmap mremap madvise brk
# rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack futex sched_yield getpid gettid clock_gettime restart_syscall
# getrandom exit exit_group.
_NUMBERS = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 9, 10, 11, 25, 28, 12, 13, 14, 15, 131, 202, 24, 39, 186, 228, 219, 318, 60, 231),
    ),
    "aarch64": (
        0xC00000B7,
        (
            63,
            64,
            57,
            80,
            62,
            222,
            226,
            215,
            216,
            233,
            214,
            134,
            135,
            139,
            132,
            98,
            124,
            172,
            178,
            113,
            128,
            278,
            93,
            94,
        ),
    ),
}
"""Audit architecture (linux/audit.h) and call numbers (asm/unistd.h)."""


def isolate(limits: Limits) -> tuple[str, ...]:
    """Give up memory, processor time, file writing, network and system calls; what held and what did not."""
    measures: dict[str, Callable[[], None]] = {
        f"memory at most {limits.memory_bytes} bytes": lambda: _limit(resource.RLIMIT_AS, limits.memory_bytes),
        f"processor time at most {limits.cpu_seconds} s": lambda: _limit(resource.RLIMIT_CPU, limits.cpu_seconds, 1),
        "no file may grow": lambda: _limit(resource.RLIMIT_FSIZE, 0),
        "no core dump": lambda: _limit(resource.RLIMIT_CORE, 0),
        "network namespace of its own, with no interface up": _leave_network,
        "no system call but for reading, memory and time (seccomp)": _filter_calls,
    }
    return tuple(_attempt(name, measure) for name, measure in measures.items())


def _attempt(name: str, measure: Callable[[], None]) -> str:
    try:
        measure()
    except (OSError, ValueError) as error:
        return f"NOT held: {name} ({error})"
    return name


def _limit(kind: int, soft: int, grace: int = 0) -> None:
    resource.setrlimit(kind, (soft, soft + grace))


def _leave_network() -> None:
    """A network namespace needs a user namespace where the caller is not root (unshare(2))."""
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "Linux only")
    _check(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET))


def _filter_calls() -> None:
    """Refuse with EPERM what is not listed (seccomp(2)); cannot be undone and holds without privileges."""
    if not sys.platform.startswith("linux") or platform.machine() not in _NUMBERS:
        raise OSError(errno.ENOSYS, "no system call table for this platform")
    program = _program(*_NUMBERS[platform.machine()])
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0))


def _program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """Classic BPF: another architecture or an unlisted number is refused (linux/filter.h, linux/seccomp.h)."""
    count = len(numbers)
    steps = [(_LOAD, 0, 0, _ARCHITECTURE_OFFSET), (_EQUAL, 0, count + 1, architecture), (_LOAD, 0, 0, _NUMBER_OFFSET)]
    steps += [(_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
