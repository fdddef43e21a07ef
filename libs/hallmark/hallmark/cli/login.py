"""`hallmark login`, `hallmark logout`, `hallmark whoami`."""

import sys
from typing import Annotated, Any

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
        str | None, typer.Option(help="Better left out: others on this machine can see it. It is asked for.")
    ] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    json: Json = False,
) -> None:
    """Keep address and token for later commands, after the server accepted them.

    They are kept for this user alone, in place of what was kept before. HALLMARK_URL and HALLMARK_TOKEN go before them.
    """
    from hallmark import credentials  # noqa: PLC0415 - only when needed

    if token and token_stdin:
        base.fail("two tokens were given", "leave out --token", base.USAGE)
    where = credentials.resolve(url).url
    found = credentials.Credentials(where, token or _ask_token(token_stdin))
    with base.client(found.url, found.token) as hallmark:
        account = hallmark.whoami()
    path = credentials.save(found)
    output.show({**account, "url": found.url, "kept": str(path)}, lambda: _logged_in(account, found.url, str(path)))


def _logged_in(account: dict[str, Any], url: str, path: str) -> None:
    output.say(f"Logged in at {url} as {account['account']}; kept in {path}")
    until = (account["expires_at"] or "it is revoked") if "expires_at" in account else None
    output.facts({"roles": account["roles"], "token good until": until})


def _ask_token(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        text = sys.stdin.readline()
    else:
        text = typer.prompt("Token", hide_input=True, err=True)
    return str(text).strip() or base.fail("no token was given", "send it on standard input", base.USAGE)


def logout(json: Json = False) -> None:
    """Forget what `login` kept. The token itself stays good until it ends or is revoked."""
    from hallmark import credentials  # noqa: PLC0415 - only when needed

    path, forgotten = str(credentials.credentials_file()), credentials.forget()
    output.show(
        {"forgotten": forgotten, "kept": path},
        lambda: output.say(f"Logged out: {path} is gone" if forgotten else "Nothing was kept"),
    )


def whoami(json: Json = False) -> None:
    """Show the account behind the token, its roles, and until when the token is good."""
    with base.client() as hallmark:
        found = hallmark.whoami()
    output.show(found, lambda: output.facts(found))
