"""`hallmark login`, `hallmark whoami`."""

import sys
from typing import Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json


def add_to(app: typer.Typer) -> None:
    app.command()(login)
    app.command()(whoami)


def login(
    url: Annotated[str | None, typer.Option(envvar="HALLMARK_URL", help="Address of the server.")] = None,
    token: Annotated[
        str | None, typer.Option(help="Better left out: it is asked for, or read from standard input.")
    ] = None,
    json: Json = False,
) -> None:
    """Keep address and token for later commands, after the server accepted them."""
    from hallmark import credentials  # noqa: PLC0415 - only when needed
    from hallmark.client import Client  # noqa: PLC0415 - as above

    where = credentials.resolve(url).url
    found = credentials.Credentials(where, token or _ask_token())
    with Client(found.url, found.token) as hallmark:
        account = hallmark.whoami()
    path = credentials.save(found)
    output.show(
        {**account, "url": found.url, "kept": str(path)},
        lambda: output.say(f"Logged in at {found.url} as {account['account']}; kept in {path}"),
    )


def _ask_token() -> str:
    text = typer.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    return str(text).strip() or base.fail("no token was given", "send it on standard input", base.USAGE)


def whoami(json: Json = False) -> None:
    """Show the account behind the token, and its roles."""
    with base.client() as hallmark:
        found = hallmark.whoami()
    output.show(found, lambda: output.facts(found))
