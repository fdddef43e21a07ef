"""`hallmark account create|show|roles`, `hallmark token issue|revoke`; for logins of an account see `logins`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hallmark.cli import base, logins, output
from hallmark.cli.base import AsOf, Json, KnownAt, moment

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="viewer, contributor, reviewer:<role>, manager, admin or auditor; repeat it."),
]


def add_to(app: typer.Typer) -> None:
    account = base.group("Who may do what.")
    account.command("create")(create)
    account.command("show")(show)
    account.command("roles")(set_roles)
    logins.add_to(account)
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


def show(account: Account, *, as_of: AsOf = None, known_at: KnownAt = None, json: Json = False) -> None:
    """Show an account's roles, tokens and keys, or which it had."""
    with base.client() as hallmark:
        found = hallmark.account(account, as_of=as_of, known_at=known_at)
    output.show(found, lambda: _shown(found))


_LISTED: Final = ("tokens", "signing_keys", "logins", "workloads", "sessions")


def _shown(found: dict[str, Any]) -> None:
    output.facts({name: value for name, value in found.items() if name not in _LISTED})
    if found["tokens"]:
        rows = [[t["token_id"], t["expires_at"], "yes" if t["in_force"] else "no"] for t in found["tokens"]]
        output.table(["TOKEN", "UNTIL", "IN FORCE"], rows)
    if found["signing_keys"]:
        output.table(["KEY", "SIGNS"], [[k["key_id"], k["purpose"]] for k in found["signing_keys"]])
    logins.show(found)


def set_roles(
    account: Account,
    *,
    roles: Roles = None,
    none: Annotated[bool, typer.Option("--none", help="Take all of them away: it may then do nothing.")] = False,
    json: Json = False,
) -> None:
    """Replace an account's roles."""
    if bool(roles) == none:
        raise typer.BadParameter("name all roles that it is to have, with --role, or --none")
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
    """Make a token open nothing from now on."""
    with base.client() as hallmark:
        written = hallmark.revoke_token(account, token_id)
    output.show(written, lambda: output.say(f"Revoked {token_id} of {account}"))
