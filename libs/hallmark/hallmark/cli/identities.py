"""`hallmark account create|roles`, `hallmark token issue|revoke`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json, moment

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="viewer, contributor, reviewer:<role>, manager, admin or auditor; repeat it."),
]


def add_to(app: typer.Typer) -> None:
    account = base.group("Who may do what.")
    account.command("create")(create)
    account.command("roles")(set_roles)
    app.add_typer(account, name="account")
    token = base.group("Tokens of accounts.")
    token.command("issue")(issue)
    token.command("revoke")(revoke)
    app.add_typer(token, name="token")


def create(
    account: Account,
    *,
    roles: Roles = None,
    service: Annotated[bool, typer.Option("--service", help="A pipeline's, not a human's.")] = False,
    person: Annotated[str | None, typer.Option(help="The human behind it; one for all accounts of one human.")] = None,
    name: Annotated[str | None, typer.Option(help="Shown to others.")] = None,
    json: Json = False,
) -> None:
    """Create an account."""
    kind = "service" if service else "human"
    with base.client() as hallmark:
        written = hallmark.create_account(account, kind=kind, person=person, display_name=name, roles=roles or ())
    output.show(written, lambda: _created(account))


def _created(account: str) -> None:
    output.say(f"Created {account}")
    output.say(f"Next: hallmark token issue {account}")


def set_roles(account: Account, roles: Roles = None, json: Json = False) -> None:
    """Replace an account's roles; without any, it may do nothing."""
    with base.client() as hallmark:
        written = hallmark.set_roles(account, roles or ())
    output.show(written, lambda: output.say(f"{account} has the roles: {', '.join(roles or ()) or 'none'}"))


def issue(
    account: Account,
    *,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="E.g. 90d, or 2026-12-01; by default never.")
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Without a token, on the machine and as the user that run `hallmark up`."),
    ] = False,
    data: Annotated[Path | None, typer.Option(help="With --local: the data folder of `hallmark up`.")] = None,
    json: Json = False,
) -> None:
    """Issue a token. It is shown this once; `--local` is the way back in when the last one was lost."""
    if local:
        from hallmark.cli.administrator import issue_locally  # noqa: PLC0415 - server modules

        written = issue_locally(account, data, label, expires)
    else:
        with base.client() as hallmark:
            written = hallmark.issue_token(account, label, expires)
    output.show(written, lambda: _issued(written))


def _issued(written: dict[str, Any]) -> None:
    output.facts({"token id": written["token_id"], "token": written["token"]})
    output.say("It is not shown again.", "yellow")


def revoke(account: Account, token_id: Annotated[str, typer.Argument(help="Its id.")], json: Json = False) -> None:
    """Make a token open nothing, within a second."""
    with base.client() as hallmark:
        written = hallmark.revoke_token(account, token_id)
    output.show(written, lambda: output.say(f"Revoked {token_id} of {account}"))
