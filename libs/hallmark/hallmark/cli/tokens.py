"""`hallmark token issue|list|revoke`."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Account, Json, moment

Scope = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="ACTION", help="It may do this alone, e.g. read, register, promote; repeat it."),
]
Assets = Annotated[
    list[str] | None,
    typer.Option("--asset", metavar="PATTERN", help="On these alone, e.g. model:risk, 'model:credit-*'; repeat it."),
]


def add_to(app: typer.Typer) -> None:
    token = base.group("Tokens of accounts.")
    token.command("issue")(issue)
    token.command("list")(list_tokens)
    token.command("revoke")(revoke)
    app.add_typer(token, name="token")


def issue(
    account: Account,
    *,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Scope = None,
    asset: Assets = None,
    expires: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="E.g. 30d, or 2026-12-01; by default 90 days for a person's, 365 for a service account's.",
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Without a token, on the machine and as the user that run `hallmark up`."),
    ] = False,
    data: Annotated[Path | None, typer.Option(help="With --local: the data folder of `hallmark up`.")] = None,
    json: Json = False,
) -> None:
    """Issue a token. It is shown this once; `--local` is the way back in when the last one was lost.

    With --scope and --asset it may do less than its account: a CI token for one model, one that only reads.
    """
    if local:
        from hallmark.cli.administrator import issue_locally  # noqa: PLC0415 - server modules

        written = issue_locally(account, data, label, expires, actions=scope, assets=asset)
    else:
        with base.client() as hallmark:
            written = hallmark.issue_token(account, label, expires, actions=scope or None, assets=asset or None)
    output.show(written, lambda: _issued(written))


def _issued(written: dict[str, Any]) -> None:
    output.facts({"token id": written["token_id"], "token": written["token"], "until": written.get("expires_at")})
    output.say("It is not shown again.", "yellow")


def list_tokens(
    *,
    unused: Annotated[
        int | None, typer.Option(min=0, metavar="DAYS", help="Those that nobody used for so many days.")
    ] = None,
    json: Json = False,
) -> None:
    """List the tokens in force, of all accounts, with their last use."""
    with base.client() as hallmark:
        found = hallmark.tokens(unused)
    output.show(found, lambda: show_tokens(found["tokens"]))


def show_tokens(tokens: Sequence[dict[str, Any]]) -> None:
    """As a table; of several accounts with whose each is."""
    heads = ["TOKEN", "FOR", "MAY", "UNTIL", "LAST USED"]
    rows = [[token["token_id"], token["label"], _may(token), _until(token), _used(token)] for token in tokens]
    if tokens and "account" in tokens[0]:
        heads, rows = ["ACCOUNT", *heads], [[t["account"], *row] for t, row in zip(tokens, rows, strict=True)]
    output.table(heads, rows)


def _may(token: dict[str, Any]) -> str:
    actions = ", ".join(token["actions"]) if token["actions"] else "all that the account may"
    return f"{actions} on {', '.join(token['assets'])}" if token["assets"] else actions


def _until(token: dict[str, Any]) -> str:
    until = token["expires_at"] or "for ever"
    return until if token["in_force"] else f"{until} (over)"


def _used(token: dict[str, Any]) -> str:
    return token["last_used_at"] or "never"


def revoke(account: Account, token_id: Annotated[str, typer.Argument(help="Its id.")], json: Json = False) -> None:
    """Make a token open nothing from now on."""
    with base.client() as hallmark:
        written = hallmark.revoke_token(account, token_id)
    output.show(written, lambda: output.say(f"Revoked {token_id} of {account}"))
