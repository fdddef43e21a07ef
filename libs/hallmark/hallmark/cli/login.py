"""`hallmark login`, `hallmark logout`, `hallmark whoami`."""

import sys
from typing import Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json


def add_to(app: typer.Typer) -> None:
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


def login(
    url: Annotated[str | None, typer.Option(envvar="HALLMARK_URL", help="Address of the server.")] = None,
    token: Annotated[
        str | None, typer.Option(help="Better left out: it is asked for, or read from standard input.")
    ] = None,
    oidc: Annotated[bool, typer.Option("--oidc", help="Sign in at the issuer that the server names.")] = False,
    json: Json = False,
) -> None:
    """Keep address and token for later commands, after the server accepted them."""
    from hallmark import credentials  # noqa: PLC0415 - only when needed
    from hallmark.client import Client  # noqa: PLC0415 - as above

    where = credentials.resolve(url).url
    found = credentials.Credentials(where, token or (_signed_in(where) if oidc else _ask_token()))
    with Client(found.url, found.token) as hallmark:
        account = hallmark.whoami()
    path = credentials.save(found)
    output.show(
        {**account, "url": found.url, "kept": str(path)},
        lambda: output.say(f"Logged in at {found.url} as {account['account']}; kept in {path}"),
    )


def _signed_in(url: str) -> str:
    """A session's token, by whatever way the issuer offers."""
    from hallmark.client import Client  # noqa: PLC0415 - as above
    from hallmark.issuers import Issuer, by_browser, by_device  # noqa: PLC0415 - as above

    with Client(url, "") as hallmark:
        issuer = Issuer.discover(hallmark.sign_in_at())
    token = by_device(issuer, _tell) if issuer.device else by_browser(issuer, _open)
    with Client(url, token) as hallmark:
        return str(hallmark.open_session()["token"])


def _tell(address: str, code: str) -> None:
    typer.echo(f"Open {address} on any device, and enter or confirm the code {code}", err=True)


def _open(address: str) -> None:
    typer.echo(f"Sign in in the browser; if none opens, go to:\n{address}", err=True)
    typer.launch(address)


def logout(json: Json = False) -> None:
    """End the session at the server, and forget address and token on this machine."""
    from hallmark import credentials  # noqa: PLC0415 - only when needed

    kept = credentials.load()
    ended = False
    if kept:
        from hallmark.client import Client  # noqa: PLC0415 - as above

        with Client(kept.url, kept.token) as hallmark:
            ended = bool(hallmark.sign_out()["ended"])
        credentials.forget()
    told = "The session is over" if ended else "Forgotten; a token stays valid until it is revoked"
    output.show({"ended": ended}, lambda: output.say(told if kept else "Nobody was logged in here"))


def _ask_token() -> str:
    text = typer.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    return str(text).strip() or base.fail("no token was given", "send it on standard input", base.USAGE)


def whoami(json: Json = False) -> None:
    """Show the account behind the token, and its roles."""
    with base.client() as hallmark:
        found = hallmark.whoami()
    output.show(found, lambda: output.facts(found))
