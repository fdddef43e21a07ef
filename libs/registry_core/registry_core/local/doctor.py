"""What `hallmark doctor` looks at: whether this machine can run the local stack, and what to do where it cannot."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry_core.local import ports
from registry_core.local.broker import tansu_binary
from registry_core.local.errors import LocalStackError
from registry_core.local.kafka import java, maven
from registry_core.local.postgres_layout import unprivileged_account, wheel_binaries

_PYTHON = (3, 11)
_JAVA = 17
_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Check:
    """One finding. `fix` is empty when `ok`; what is not `required` serves an option only."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = True


def examine(data_dir: Path, *, port: int) -> list[Check]:
    """All checks for running the stack with its data in `data_dir` and its HTTP server on `port`. Changes nothing."""
    checks = [
        check_python(sys.version_info[:2]),
        check_runs("PostgreSQL", lambda: [str(wheel_binaries() / "postgres"), "--version"]),
        check_runs("Kafka-protocol broker", lambda: [str(tansu_binary()), "--help"]),
        check_disk(data_dir),
        check_writable(data_dir),
        check_port(port),
        check_java(),
        _found("Maven", maven, required=False),
    ]
    return [*checks, _found("account", _account)] if os.geteuid() == 0 else checks


def check_python(version: tuple[int, ...]) -> Check:
    text = ".".join(map(str, version))
    return _check("Python", version >= _PYTHON, text, "install Python 3.11 or newer and make the environment anew")


def check_runs(name: str, command: Callable[[], list[str]], *, required: bool = True) -> Check:
    """Whether the program can be executed here; the detail is the first line that it prints."""
    try:
        argv = command()
        done = subprocess.run(  # noqa: S603 - an argument vector, no shell
            argv, capture_output=True, check=False, timeout=60, text=True, errors="replace"
        )
    except (LocalStackError, OSError, subprocess.TimeoutExpired) as error:
        return Check(name, False, str(error), "install registry-core[local] for this platform", required)
    said = (done.stdout or done.stderr).strip().splitlines() or ["it printed nothing"]
    fix = f"run `{' '.join(argv)}` by hand: it ends with {done.returncode}"
    return _check(name, done.returncode == 0, said[0], fix, required=required)


def check_disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    detail = f"{free / 1e9:.1f} GB free for {folder}"
    return _check("disk", free >= _FREE_BYTES, detail, f"free {_FREE_BYTES / 1e9:.0f} GB or choose another data folder")


def check_writable(folder: Path) -> Check:
    existing = _existing(folder)
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return _check("data folder", writable, str(folder), f"give this account write access to {existing}")


def check_port(port: int) -> Check:
    fix = "stop the program that listens there or choose another port"
    return _check("port", ports.is_free(port), f"{ports.LOOPBACK}:{port}", fix)


def check_java() -> Check:
    """Java of a version that Apache Kafka 4 runs on; the embedded broker needs none."""
    check = check_runs("Java", lambda: [java(), "-version"], required=False)
    version = re.search(r'version "(\d+)', check.detail)
    new_enough = version is not None and int(version[1]) >= _JAVA
    fix = f"for Apache Kafka install Java {_JAVA} or newer"
    return _check("Java", check.ok and new_enough, check.detail, fix, required=False)


def _account() -> str:
    account = unprivileged_account()
    return f"PostgreSQL runs as {account.name if account else 'this account'}"


def _found(name: str, find: Callable[[], str], *, required: bool = True) -> Check:
    try:
        return Check(name, True, find(), required=required)
    except LocalStackError as error:
        return Check(name, False, "not found", str(error), required)


def _check(name: str, ok: bool, detail: str, fix: str, *, required: bool = True) -> Check:
    return Check(name, ok, detail, "" if ok else fix, required)


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest parent that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
