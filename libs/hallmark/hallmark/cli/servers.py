"""`hallmark serve`, `migrate`: services against the database and broker that the settings name."""

from typing import Annotated

import typer

from hallmark.cli import output
from hallmark.cli.base import Json


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(migrate)


def serve(
    services: Annotated[list[str], typer.Argument(metavar="SERVICE...", help="E.g. ledger; `all` for every one.")],
) -> None:
    """Run services in one process, against what the settings name, until SIGTERM or Ctrl-C."""
    from hallmark.cli.running import run_serve  # noqa: PLC0415 - server modules

    run_serve(services)


def migrate(json: Json = False) -> None:
    """Create or update the schema, as the owner that HALLMARK_POSTGRES_OWNER_DSN names. Again does no harm."""
    from hallmark.cli.running import run_migrate  # noqa: PLC0415 - server modules

    services, token = run_migrate()
    told = f"The schema is up to date for {', '.join(services)}"
    if token:
        told += f"\nThe account `admin` was made; its token is shown this once:\n{token}"
    output.show({"migrated": services, "admin_token": token}, lambda: output.say(told))
