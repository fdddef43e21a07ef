"""`hallmark login`, `hallmark logout`, `hallmark whoami`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

if TYPE_CHECKING:
    from hallmark.credentials import Credentials


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
    oidc: Annotated[bool, typer.Option("--oidc", help="Sign in at the issuer that the server names.")] = False,
    json: Json = False,
) -> None:
    """Keep address and token for later commands, after the server accepted them.

    They are kept for this user alone, in place of what was kept before. HALLMARK_URL and HALLMARK_TOKEN go before them.
    """
    from hallmark import credentials  # noqa: PLC0415 - only when needed

    if token and token_stdin:
        base.fail("two tokens were given", "leave out --token", base.USAGE)
    where = credentials.resolve(url).url
    found = credentials.Credentials(where, token or (_signed_in(where) if oidc else _ask_token(token_stdin)))
    with base.client(found.url, found.token) as hallmark:
        account = hallmark.whoami()
    path = credentials.save(found)
    output.show({**account, "url": found.url, "kept": str(path)}, lambda: _logged_in(account, found.url, str(path)))


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
    """Forget what `login` kept. A session ends at the server, too; a token stays good until it ends or is revoked."""
    from hallmark import credentials  # noqa: PLC0415 - only when needed

    kept, path = credentials.load(), str(credentials.credentials_file())
    forgotten, ended = credentials.forget(), kept is not None and _ended(kept)
    told = f"Logged out: {path} is gone" + (", and the session is over" if ended else "")
    found = {"forgotten": forgotten, "ended": ended, "kept": path}
    output.show(found, lambda: output.say(told if forgotten else "Nothing was kept"))


def _ended(kept: "Credentials") -> bool:
    """Whether it was a session, which is over now."""
    if not kept.token.startswith("hms_"):
        return False
    with base.client(kept.url, kept.token) as hallmark:
        return bool(hallmark.sign_out()["ended"])


def whoami(json: Json = False) -> None:
    """Show the account behind the token, its roles, and until when the token is good."""
    with base.client() as hallmark:
        found = hallmark.whoami()
    output.show(found, lambda: output.facts(found))
