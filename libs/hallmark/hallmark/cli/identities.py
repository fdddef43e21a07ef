"""`hallmark account create|show|roles|grant|withdraw|close|reopen`; for logins of an account see `logins`."""

from typing import Annotated, Any, Final

import typer

from hallmark.cli import base, completion, logins, output
from hallmark.cli.base import Account, AsOf, Json, KnownAt
from hallmark.cli.tokens import show_tokens

Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        autocompletion=completion.one_of(*completion.ROLES),
        help="viewer, contributor, reviewer:<role>, manager, admin or auditor; repeat it.",
    ),
]

GrantedRole = Annotated[
    str,
    typer.Argument(
        metavar="ROLE",
        autocompletion=completion.one_of(*(role for role in completion.ROLES if role != "admin")),
        help="viewer, contributor, reviewer:<role>, manager or auditor.",
    ),
]
Assets = Annotated[
    str,
    typer.Argument(
        metavar="ASSETS",
        autocompletion=completion.assets,
        help="An asset, or the beginning of names: model:risk, 'model:credit-*'.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why; kept in the log.")]


def add_to(app: typer.Typer) -> None:
    account = base.group("Who may do what.")
    account.command("create")(create)
    account.command("show")(show)
    account.command("roles")(set_roles)
    logins.add_to(account)
    account.command("grant")(grant)
    account.command("withdraw")(withdraw)
    account.command("close")(close)
    account.command("reopen")(reopen)
    app.add_typer(account, name="account")


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


_LISTED: Final = ("tokens", "grants", "signing_keys", "logins", "workloads", "sessions")


def _shown(found: dict[str, Any]) -> None:
    output.facts({name: value for name, value in found.items() if name not in _LISTED})
    if found["grants"]:
        output.table(["GRANTED", "ON"], [[g["role"], g["assets"]] for g in found["grants"]])
    if found["tokens"]:
        show_tokens(found["tokens"])
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


def grant(account: Account, role: GrantedRole, assets: Assets, json: Json = False) -> None:
    """Give an account a role on some assets alone."""
    with base.client() as hallmark:
        written = hallmark.grant_role(account, role, assets)
    output.show(written, lambda: output.say(f"{account} is {role} on {assets}"))


def withdraw(account: Account, role: GrantedRole, assets: Assets, json: Json = False) -> None:
    """Take back what `grant` gave, named as it was granted."""
    with base.client() as hallmark:
        written = hallmark.withdraw_role(account, role, assets)
    output.show(written, lambda: output.say(f"{account} is no longer {role} on {assets}"))


def close(account: Account, *, reason: Reason, json: Json = False) -> None:
    """Shut an account at once: nothing opens it, and all its tokens are gone."""
    with base.client() as hallmark:
        written = hallmark.close_account(account, reason)
    output.show(written, lambda: output.say(f"Closed {account}"))


def reopen(account: Account, *, reason: Reason, json: Json = False) -> None:
    """Open a closed account again, with the roles it had; it needs new tokens."""
    with base.client() as hallmark:
        written = hallmark.reopen_account(account, reason)
    output.show(written, lambda: output.say(f"Reopened {account}. Next: hallmark token issue {account}"))
