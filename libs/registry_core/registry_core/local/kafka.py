"""Apache Kafka without Docker: its jars from Maven Central, one node in KRaft mode, on the loopback interface.

`python -m registry_core.local.kafka` runs one in the foreground.
"""

import argparse
import asyncio
import hashlib
import os
import re
import shutil
import signal
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from registry_core.local import ports
from registry_core.local.broker import LocalBroker, first_to_start, serves
from registry_core.local.errors import LocalStackError
from registry_core.local.folders import built_whole, remove_leftovers, remove_whole
from registry_core.local.processes import Child, PidFile, Program, run, start

PROJECT = Path(__file__).parents[4]
POM = PROJECT / "deploy" / "kafka" / "pom.xml"
DEFAULT_PORT = 9092
_STARTS_WITHIN = 120.0
_GRACE = 20.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={logs}
num.partitions=4
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""


@dataclass(frozen=True)
class _Node:
    """One Kafka: its jars and its data folder."""

    jars: Path
    data_dir: Path
    pid_file: PidFile

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def properties(self) -> Path:
        return self.data_dir / "server.properties"

    async def start(self, port: int) -> tuple[str, Child] | None:
        """Start on the data there is, formatting the storage at the first start."""
        remove_leftovers(self.logs)
        if not self.logs.exists():
            await self._format()
        self._configure(port, self.logs)
        cluster_id = _cluster_id_of(self.logs)
        child = start(self._java("-Xmx512m", main="kafka.Kafka"), self.pid_file)
        try:
            return (cluster_id, child) if await serves(child, port, cluster_id, within=_STARTS_WITHIN) else None
        except BaseException:
            await child.stop()
            raise

    async def start_empty(self, port: int) -> tuple[str, Child] | None:
        if self.logs.exists():
            remove_whole(self.logs)
        return await self.start(port)

    async def _format(self) -> None:
        """Format beside and rename: a kill in the middle leaves nothing half formatted."""
        with built_whole(self.logs) as scratch:
            self._configure(DEFAULT_PORT, scratch)
            cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")  # the form of kafka.common.Uuid
            option = f"--cluster-id={cluster_id}"  # in one word, since it may begin with a dash
            await run(self._java(main="kafka.tools.StorageTool", before=("format", option, "-c")), self.pid_file)

    def _configure(self, port: int, logs: Path) -> None:
        text = _PROPERTIES.format(host=ports.LOOPBACK, port=port, controller=ports.choose(), logs=logs)
        self.properties.write_text(text)

    def _java(self, *options: str, main: str, before: tuple[str, ...] = ()) -> Program:
        quiet = "-Dorg.apache.logging.log4j.level=WARN"
        argv = (java(), *options, quiet, "-cp", f"{self.jars}/*", main, *before, str(self.properties))
        return Program(argv, cwd=self.data_dir, log=self.data_dir / "kafka.log", grace=_GRACE)


@asynccontextmanager
async def apache_kafka(
    cache_dir: Path, data_dir: Path, *, port: int | None = None, pom: Path = POM
) -> AsyncIterator[LocalBroker]:
    """Run Apache Kafka on the data in `data_dir`, on `port` or another if that is taken, and stop it at the end.

    `cache_dir` keeps the jars between runs; the first run resolves them with Maven. Raises LocalStackError.
    """
    data_dir = _made(data_dir)
    pid_file = PidFile.acquire(data_dir / "kafka.pid")
    try:
        await pid_file.end_orphan(signal.SIGTERM, _GRACE)
        node = _Node(await resolve_jars(cache_dir, pom), data_dir, pid_file)
        running = LocalBroker(*await first_to_start(node.start, lambda: ports.choose(port)), node.start_empty)
        try:
            yield running
        finally:
            await running.stop()
    finally:
        pid_file.release()


async def resolve_jars(cache_dir: Path, pom: Path = POM) -> Path:
    """The folder of the jars that the POM names, resolved once for each content of the POM."""
    cache_dir, digest = _made(cache_dir), _digest(pom)
    jars = cache_dir / f"jars-{digest[:12]}"
    if jars not in cache_dir.iterdir():
        remove_leftovers(jars)
        with built_whole(jars) as scratch:
            argv = (maven(), "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime")
            await run(Program((*argv, f"-DoutputDirectory={scratch}"), cwd=cache_dir, log=cache_dir / "maven.log"))
    return jars


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _digest(pom: Path) -> str:
    try:
        return hashlib.sha256(pom.read_bytes()).hexdigest()
    except OSError as error:
        raise LocalStackError(f"{error}; run from a checkout of Hallmark, or name the POM") from None


def java() -> str:
    """Java's launcher: of JAVA_HOME, else on the PATH. Raises LocalStackError if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise LocalStackError("Apache Kafka needs Java 17 or newer; on Debian: apt install openjdk-17-jre-headless")
    return found


def maven() -> str:
    """Maven's launcher. Raises LocalStackError if there is none."""
    found = shutil.which("mvn")
    if found is None:
        raise LocalStackError("Apache Kafka's jars are fetched with Maven; on Debian: apt install maven")
    return found


def _cluster_id_of(logs: Path) -> str:
    meta = logs / "meta.properties"
    found = re.search(r"^cluster\.id=(\S+)$", meta.read_text(), re.MULTILINE) if meta.exists() else None
    if found is None:
        raise LocalStackError(f"{logs} is not the storage of a Kafka; remove it to start with an empty one")
    return found[1]


async def _serve(cache_dir: Path, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with apache_kafka(cache_dir, cache_dir / "data", port=port) as running:
        print(f"Apache Kafka listens on {running.bootstrap}; Ctrl-C stops it", flush=True)
        await stopped.wait()


def main() -> None:
    """Run Apache Kafka in the foreground until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m registry_core.local.kafka", description=main.__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="taken ports are passed over (%(default)s)")
    parser.add_argument("--cache-dir", type=Path, default=PROJECT / ".kafka", help="jars and data (%(default)s)")
    options = parser.parse_args()
    try:
        asyncio.run(_serve(options.cache_dir, options.port))
    except LocalStackError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
