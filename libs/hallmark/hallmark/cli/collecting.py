"""`hallmark artifacts collect`: what nothing refers to, out of the artifact store. Needs the server's packages."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json
from hallmark.cli.local import Data

if TYPE_CHECKING:
    from registry_core.collection import Collected


def add_to(app: typer.Typer) -> None:
    artifacts = base.group("The artifact store, for its operator.")
    artifacts.callback()(_operators)
    artifacts.command()(collect)
    app.add_typer(artifacts, name="artifacts")


def now() -> datetime:
    return datetime.now(UTC)


def _operators() -> None:
    """The artifact store, for its operator."""


def collect(
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; without this, only tell.")] = False,
    older_than: Annotated[int, typer.Option(min=1, metavar="DAYS", help="Younger objects stay.")] = 30,
    data: Data = None,
    json: Json = False,
) -> None:
    """Remove objects that no event refers to: first aside, and a day later for good. Safe while everything runs.

    The log is read as HALLMARK_POSTGRES_OWNER_DSN names it, else that of `hallmark up`; the store is the settings'.
    """
    import asyncio  # noqa: PLC0415 - only when needed

    done = asyncio.run(_collect(data, timedelta(days=older_than), act=delete))
    output.show(asdict(done), lambda: _tell(done, delete))


async def _collect(data: Path | None, retention: timedelta, *, act: bool) -> "Collected":
    import asyncpg  # noqa: PLC0415 - server modules
    from registry_core.collection import Collector  # noqa: PLC0415 - as above
    from registry_core.objects import ObjectStorage  # noqa: PLC0415 - as above

    from hallmark.cli.saving import owner_dsn, settings_with  # noqa: PLC0415 - as above

    settings = settings_with(data)
    async with owner_dsn(settings) as dsn:
        log = await asyncpg.connect(dsn)
        try:
            return await Collector(ObjectStorage.open(settings), log, now(), retention, act=act).run()
        finally:
            await log.close()


def _tell(done: "Collected", delete: bool) -> None:
    rows = [
        *(["move aside", digest] for digest in done.moved_aside),
        *(["move back", digest] for digest in done.moved_back),
        *(["delete", digest] for digest in done.deleted),
        *(["delete by hand", digest] for digest in done.too_large),
    ]
    output.table(["what", "object"], rows)
    output.say(f"{done.kept} objects are referred to or too young; {done.uploads} are of abandoned uploads.")
    if not delete:
        output.say("Nothing was changed. Next: hallmark artifacts collect --delete", "yellow")
    elif done.moved_aside:
        output.say("Next: run it again, at least a day later, to delete what was moved aside.")
