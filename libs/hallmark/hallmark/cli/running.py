"""Services in this process, for `up`, `serve` and `migrate`. Needs the server's packages."""

import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import typer
import uvloop
from registry_core.runtime import install_schema, run_services
from registry_core.service import ALL, Platform, find_services, open_platform
from registry_core.settings import Settings
from registry_core.store import schema

from hallmark.cli import base

_TERMINATED: Final = 128 + signal.SIGTERM


def settings_for_up(data: Path | None, port: int | None, *, demo_clock: bool) -> Settings:
    """The settings in force, with the options on top; a person watches, so logs are quiet unless set otherwise."""
    settings = Settings()
    options: dict[str, Any] = {"data_dir": data, "port": port, "movable_clock": demo_clock or None}
    quiet = {"log_level": "warning", "log_format": "console" if sys.stdout.isatty() else "json"}
    quiet = {name: value for name, value in quiet.items() if name not in settings.model_fields_set}
    return settings.model_copy(update={**quiet, **{n: v for n, v in options.items() if v is not None}})


def run_up(settings: Settings, services: Sequence[str] | None) -> None:
    """Run the local stack and the services until a signal, then stop services, broker and database in this order."""
    if settings.log_level in ("warning", "error"):
        logging.disable(logging.INFO)  # the libraries' own words, whatever level they set for themselves
        logging.getLogger("asyncpg").setLevel(logging.ERROR)  # its pool prints a traceback for each lost connection
    try:
        _run(_up(settings, services or ALL))
    except SystemExit as error:  # uvicorn's word for a port that it cannot have
        base.fail(f"HTTP cannot listen on {settings.host} ({error})", "choose another --port")
    typer.echo("Stopped.")


async def _up(settings: Settings, services: Sequence[str]) -> None:
    from registry_core.local.stack import local_stack  # noqa: PLC0415 - an extra of its own

    find_services(services)  # before anything is started
    async with local_stack(settings.data_dir, configured=settings) as stack:

        async def started(platform: Platform, port: int) -> None:
            if settings.port not in (0, port):
                typer.echo(f"Port {settings.port} is taken, so this time it is {port}.")
            await _announce(platform, f"http://{settings.host}:{port}", local=stack.postgres is not None)

        await run_services(stack.settings, services, started, listener=stack.listener)


async def _announce(platform: Platform, url: str, *, local: bool) -> None:
    from hallmark.cli.administrator import ADMIN, first_token  # noqa: PLC0415 - with local_stack

    data = platform.settings.data_dir
    lines = [f"Hallmark runs at {url}", f"Data in {data.absolute()}; Ctrl-C stops it."]
    if bootstrap := platform.settings.kafka_bootstrap:
        lines.insert(1, f"Kafka at {bootstrap}: pipelines' events go to the topic mlops.events")
    if token := await first_token(platform):
        lines += [
            "",
            "This is the first start: the account `admin` was made. Its token is shown this once.",
            f"  Log in:  {url}/login?token={token}",
            "  For the command line and the SDK:",
            f"    export HALLMARK_URL={url}",
            f"    export HALLMARK_TOKEN={token}",
        ]
    else:
        where = f" --data {data}" if local else ""
        lines += [
            f"The token of `{ADMIN}` was shown at the first start. If it is lost, run here, while this runs:",
            f"  hallmark token issue {ADMIN} --local{where}",
        ]
    typer.echo("\n".join(lines))


def run_serve(names: Sequence[str]) -> None:
    """Run until a signal."""
    services = list(ALL) if "all" in names else list(names)
    find_services(services)  # a name that is none is told before what is missing
    _run(run_services(_configured(), services))


def _configured() -> Settings:
    settings = Settings()
    if not settings.postgres_dsn.get_secret_value():
        base.fail("no database is named", "set HALLMARK_POSTGRES_DSN, or run `hallmark up`", base.USAGE)
    return settings


def run_migrate() -> tuple[list[str], str | None]:
    """Install the schema of the core and of all services; their names, and a new installation's first token."""
    settings = Settings()
    if not settings.postgres_owner_dsn.get_secret_value():
        base.fail("no owner of the database is named", "set HALLMARK_POSTGRES_OWNER_DSN", base.USAGE)
    with tempfile.TemporaryDirectory() as folder:  # building services makes keys, of which none is needed here
        token = asyncio.run(_migrate(settings.model_copy(update={"data_dir": Path(folder)})))
    return list(ALL), token


async def _migrate(settings: Settings) -> str | None:
    from hallmark.cli.administrator import first_token  # noqa: PLC0415 - as above

    builds = find_services(ALL)
    await schema.install(settings.postgres_owner_dsn.get_secret_value())
    platform = await open_platform(_as_owner(settings))
    try:
        await install_schema(settings, [build(platform) for build in builds])
        return await first_token(platform)
    finally:
        platform.terminate()


def _as_owner(settings: Settings) -> Settings:
    """A migration needs no password of the services' roles."""
    owner = settings.postgres_owner_dsn
    return settings.model_copy(update={"postgres_dsn": owner, "postgres_ledger_dsn": owner})


def _run(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop; SIGTERM before the services took over ends everything in order, too."""

    async def terminable() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await main

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(terminable())
    except asyncio.CancelledError:
        raise typer.Exit(_TERMINATED) from None
    except LookupError as error:
        base.fail(str(error), "name services there are, or `all`")
