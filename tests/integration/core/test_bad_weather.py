"""A full disk, an answer lost at COMMIT, a second sealer: a clear error or a safe wait, never a gap or a fork."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import psutil
import pytest
from registry_core.events import NewEvent
from registry_core.events.evidence import EvidenceAttached
from registry_core.events.versions import VersionAdded
from registry_core.local.postgres import LocalPostgres, postgres
from registry_core.proofs.merkle import root
from registry_core.proofs.tiles import plan_head, rebuild_head
from registry_core.store import ANY, Append, Appended, schema
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.store.model import MAX_BODY, EventTooLargeError
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from registry_core.store.tiles import read_entries
from support import new, until
from support_proxy import LossyProxy, lossy_proxy


def event(number: int, size: int = 0) -> NewEvent:
    return new(VersionAdded(ref=f"model:{'m' * (size or 1)}@1.0.{number}", digest="sha256:" + "0" * 64))


async def seal_all(pool: Pool) -> None:
    sealer = Sealer(pool, 4)
    while await sealer.seal_once():
        pass


async def check_whole(pool: Pool, ids: list[Any]) -> None:
    """Exactly these events are in the log, dense, each stream in its order, and the stored tree is theirs."""
    rows = await pool.fetch(
        """select log_index, leaf_hash, event_id, stream_id, version
             from log.sealed join log.events using (position) order by log_index"""
    )
    assert [row["log_index"] for row in rows] == list(range(len(ids)))
    assert {row["event_id"] for row in rows} == set(ids)
    for stream in {row["stream_id"] for row in rows}:
        versions = [row["version"] for row in rows if row["stream_id"] == stream]
        assert versions == list(range(len(versions)))
    head = rebuild_head(len(ids), await read_entries(pool, plan_head(len(ids)).reads))
    assert head.root == root([row["leaf_hash"] for row in rows])


@asynccontextmanager
async def through_a_proxy(dsn: str) -> AsyncIterator[tuple[Pool, LossyProxy]]:
    query = dict(item.split("=") for item in urlsplit(dsn).query.split("&"))
    server = Path(unquote(query["host"])) / f".s.PGSQL.{query['port']}"
    with TemporaryDirectory() as folder:
        async with lossy_proxy(server, Path(folder)) as proxy:
            via = dsn.replace(query["host"], quote(folder, safe="")).replace(f"port={query['port']}", "port=5432")
            async with asyncpg.create_pool(via, min_size=1, max_size=2) as pool:
                yield pool, proxy


async def test_an_append_whose_answer_was_lost_is_written_once(database: Any, pool: Pool, ledger_pool: Pool) -> None:
    sent = [event(n) for n in range(8)]
    async with through_a_proxy(database.service_dsn) as (lossy, proxy):
        store = PostgresEventStore(lossy)
        for n, one in enumerate(sent):
            if n in (3, 6):
                proxy.lose = one.id.bytes  # in the arguments of the very call
            (result,) = await store.append(Append("s", [one], n - 1))
            assert isinstance(result, Appended)
            assert (result.first_version, result.duplicate) == (n, n in (3, 6))
        assert proxy.lost == 2
    await seal_all(ledger_pool)
    await check_whole(pool, [one.id for one in sent])


async def test_a_sealer_that_lost_the_answer_to_its_commit_goes_on_without_gap_or_fork(
    database: Any, pool: Pool, ledger_pool: Pool
) -> None:
    store, sent = PostgresEventStore(pool), [event(n) for n in range(9)]
    async with through_a_proxy(database.ledger_dsn) as (lossy, proxy):
        sealer = Sealer(lossy, 4)
        for n, one in enumerate(sent):
            await store.append(Append(f"s{n % 2}", [one], ANY))
            if n % 3 == 1:
                proxy.lose = b'{"io.hallmark.'  # the call of log.seal
                with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                    await sealer.seal_once()
            await sealer.seal_once()
        assert proxy.lost == 3
    await check_whole(pool, [one.id for one in sent])


SEALING = """
import asyncio, sys
import asyncpg
from registry_core.store.sealer import Sealer

async def main():
    pool = await asyncpg.create_pool(sys.argv[1], min_size=1, max_size=2)
    print("ready", flush=True)
    await Sealer(pool, 4).run()

asyncio.run(main())
"""


@contextmanager
def sealer_process(dsn: str) -> Any:
    with subprocess.Popen([sys.executable, "-c", SEALING, dsn], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


async def test_two_sealing_processes_of_which_one_is_killed_make_one_log(database: Any, pool: Pool) -> None:
    store, sent = PostgresEventStore(pool), [event(n) for n in range(400)]

    async def sealed() -> bool:
        count: int = await pool.fetchval("select count(*) from log.sealed")
        return count == len(sent)

    with sealer_process(database.ledger_dsn) as one, sealer_process(database.ledger_dsn):
        for n, item in enumerate(sent):
            await store.append(Append(f"s{n % 5}", [item], ANY))
            if n == 200:
                one.kill()
        await until(sealed)
    await check_whole(pool, [item.id for item in sent])


async def test_an_oversized_event_is_refused_and_its_neighbours_are_written(pool: Pool, ledger_pool: Pool) -> None:
    store, small = PostgresEventStore(pool), [event(n) for n in range(4)]
    large = new(
        EvidenceAttached.model_construct(
            ref="model:m@1.0.0", kind="sbom", digest="sha256:" + "0" * 64, size=1, media_type="x" * MAX_BODY
        )
    )
    appends = [Append(f"s{n}", [one], ANY) for n, one in enumerate([*small[:2], large, *small[2:]])]
    results = await asyncio.gather(*(store.append(append) for append in appends), return_exceptions=True)
    assert [isinstance(result, EventTooLargeError) for result in results] == [False, False, True, False, False]
    await seal_all(ledger_pool)
    await check_whole(pool, [one.id for one in small])


@contextmanager
def small_disk(megabytes: int) -> Any:
    """A file system of its own; only root may mount one."""
    with TemporaryDirectory(prefix="hallmark-disk-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "tmpfs", name]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no small file system can be mounted here: that takes root and the right to mount")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def fill(path: Path) -> None:
    """To the last page of its disk."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass


@pytest.fixture
async def cramped() -> AsyncIterator[tuple[LocalPostgres, Path]]:
    """PostgreSQL whose tables lie on a disk of 24 MB, its WAL elsewhere."""
    with small_disk(24) as disk, TemporaryDirectory(prefix="hallmark-pg-") as name:
        Path(name).chmod(0o711)
        async with postgres(Path(name) / "postgres", durable=False) as server:
            space = disk / "tables"
            space.mkdir(mode=0o700)
            cluster = next(path for path in server.data_dir.rglob("PG_VERSION")).parent.stat()
            os.chown(space, cluster.st_uid, cluster.st_gid)
            admin = await asyncpg.connect(server.admin_dsn)
            await admin.execute(f"create tablespace cramped location '{space}'")
            await admin.execute("create database tight tablespace cramped")
            await admin.close()
            await schema.install(server.dsn_of("tight", role="postgres"))
            yield server, disk


async def test_on_a_full_disk_appends_fail_clearly_and_go_on_when_there_is_room(
    cramped: tuple[LocalPostgres, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, disk = cramped
    monkeypatch.setattr("registry_core.store.group_commit.PAUSES", (0.01,))
    written: list[Any] = []
    async with (
        asyncpg.create_pool(server.dsn_of("tight", role="hallmark_service"), min_size=1, max_size=2) as pool,
        asyncpg.create_pool(server.dsn_of("tight", role="hallmark_ledger"), min_size=1, max_size=2) as ledger_pool,
    ):
        store = PostgresEventStore(pool)
        first = event(0)
        await store.append(Append("s", [first], ANY))
        written.append(first.id)
        ballast = disk / "ballast"
        fill(ballast)
        refused = None
        for n in range(1, 3000):
            refused = event(n, 100)
            try:
                await store.append(Append(f"s{n}", [refused], ANY))
            except asyncpg.DiskFullError:
                break
            written.append(refused.id)
            refused = None
        assert refused is not None
        with pytest.raises(asyncpg.DiskFullError):  # `run` says so and tries again
            await seal_all(ledger_pool)
        ballast.unlink()
        await store.append(Append("s-refused", [refused], ANY))
        await seal_all(ledger_pool)
        await check_whole(pool, [*written, refused.id])


@pytest.fixture
async def cramped_whole() -> AsyncIterator[tuple[LocalPostgres, Path]]:
    """PostgreSQL with everything, its WAL too, on one disk of 160 MB."""
    with small_disk(160) as disk:
        async with postgres(disk / "postgres") as server:
            await server.database("tight")
            await schema.install(server.dsn_of("tight", role="postgres"))
            yield server, disk


async def test_when_the_disk_of_the_wal_is_full_the_server_ends_and_nothing_acknowledged_is_lost(
    cramped_whole: tuple[LocalPostgres, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives up when it cannot write its WAL, and cannot recover until there is room."""
    server, disk = cramped_whole
    monkeypatch.setattr("registry_core.store.group_commit.PAUSES", (0.01,))
    written: list[Any] = []
    async with (
        asyncpg.create_pool(server.dsn_of("tight", role="hallmark_service"), min_size=1, max_size=2) as pool,
        asyncpg.create_pool(server.dsn_of("tight", role="hallmark_ledger"), min_size=1, max_size=2) as ledger_pool,
    ):
        store, sealer = PostgresEventStore(pool), Sealer(ledger_pool, 4)
        for n in range(40):
            one = event(n, 100)
            await store.append(Append(f"s{n % 4}", [one], ANY))
            written.append(one.id)
            await sealer.seal_once()
        ballast = disk / "ballast"
        fill(ballast)
        refused = await the_one_that_failed(server, store, written)
        await until(lambda: ended(server))
        ballast.unlink()
        await server.restart()
        (result,) = await store.append(Append("s-refused", [refused], ANY))
        assert isinstance(result, Appended)
        while await sealer.seal_once():
            pass
        await check_whole(pool, [*written, refused.id])


async def the_one_that_failed(server: LocalPostgres, store: PostgresEventStore, written: list[Any]) -> NewEvent:
    """Append, with a new WAL segment for each, until the server cannot go on."""
    for n in range(1000, 1100):
        one = event(n, 100)
        try:
            await use_up_a_wal_segment(server)
            await store.append(Append(f"s{n}", [one], ANY))
        except (*TRANSIENT, asyncpg.PostgresError):
            return one
        written.append(one.id)
    pytest.fail("the disk was not full")


async def ended(server: LocalPostgres) -> bool:
    with suppress(*TRANSIENT, asyncpg.PostgresError):
        await use_up_a_wal_segment(server)
    try:
        return psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE  # nobody has asked how it ended
    except psutil.NoSuchProcess:
        return True


async def use_up_a_wal_segment(server: LocalPostgres) -> None:
    admin = await asyncpg.connect(server.admin_dsn, timeout=5)
    try:
        await admin.fetchval("select pg_switch_wal()")
    finally:
        admin.terminate()
