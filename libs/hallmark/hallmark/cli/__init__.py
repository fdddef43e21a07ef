"""The `hallmark` command line. What a command needs beyond typer it imports when it runs, so that help is quick.

docs/cli.md has the exit codes.
"""

from typing import Annotated

import typer

from hallmark.cli import (
    admission,
    aliases,
    audit,
    backups,
    checks,
    collecting,
    deadletters,
    hammering,
    identities,
    imports,
    lifecycle,
    lineage,
    local,
    login,
    policies,
    privacy,
    projections,
    promotions,
    reviews,
    servers,
    sources,
    status,
    tokens,
    versions,
    views,
)
from hallmark.cli.base import RETRY_SECONDS, Connection, RootGroup, connect_to
from hallmark.cli.completion import use_own_script

use_own_script()

app = typer.Typer(
    name="hallmark",
    cls=RootGroup,
    no_args_is_help=True,
    rich_markup_mode=None,  # typer's own rich help takes longer to import than everything else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Decide what machine-learning models may be promoted and served, and prove afterwards what happened.",
)
for module in (
    login, versions, status, promotions, reviews, policies, lifecycle, admission, views, audit, checks, identities,
    privacy, deadletters, projections, local, servers, backups, collecting, hammering, lineage, aliases, imports,
    sources, tokens,
):  # fmt: skip
    module.add_to(app)


@app.callback()
def connection(
    url: Annotated[str | None, typer.Option(envvar="HALLMARK_URL", help="Address of the server.")] = None,
    retry_seconds: Annotated[
        float, typer.Option(envvar="HALLMARK_RETRY_SECONDS", min=0, help="How long to try while it does not answer.")
    ] = RETRY_SECONDS,
) -> None:
    """The token comes from HALLMARK_TOKEN, or from `hallmark login`."""
    connect_to(Connection(url, retry_seconds))
