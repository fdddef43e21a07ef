"""`hallmark account link|unlink|bind|unbind|sign-out`: who comes as an account from outside."""

from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Account, Json

Issuer = Annotated[str, typer.Option(help="The issuer's address, as in its tokens' `iss`.")]


def add_to(account: typer.Typer) -> None:
    account.command("link")(link)
    account.command("unlink")(unlink)
    account.command("bind")(bind)
    account.command("unbind")(unbind)
    account.command("sign-out")(sign_out)


def show(found: dict[str, Any]) -> None:
    """The part of `hallmark account show` that is about these."""
    if logins := found.get("logins"):
        output.table(["LOGIN", "ISSUER"], [[each["login"], each["issuer"]] for each in logins])
    if workloads := found.get("workloads"):
        rows = [[w["workload"], w["issuer"], _claims(w["claims"])] for w in workloads]
        output.table(["WORKLOAD", "ISSUER", "CLAIMS"], rows)
    if sessions := [each for each in found.get("sessions", []) if each["in_force"]]:
        output.table(["SESSION", "UNTIL"], [[each["session"], each["expires_at"]] for each in sessions])


def _claims(claims: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in claims.items())


def link(
    account: Account,
    *,
    issuer: Issuer,
    subject: Annotated[str, typer.Option(help="Theirs with the issuer (`sub`); whoever signs in unknown is shown it.")],
    json: Json = False,
) -> None:
    """Let somebody sign in as the account."""
    with base.client() as hallmark:
        written = hallmark.link_login(account, issuer, subject)
    output.show(written, lambda: output.say(f"Linked as {written['login']}: they can sign in as {account}"))


def unlink(
    account: Account,
    login: Annotated[str, typer.Argument(help="Its id, from `hallmark account show`.")],
    json: Json = False,
) -> None:
    """Let nobody sign in by a login any more, and sign out who did."""
    with base.client() as hallmark:
        written = hallmark.unlink_login(account, login)
    output.show(written, lambda: output.say(f"Unlinked {login} of {account}"))


def bind(
    account: Account,
    *,
    issuer: Issuer,
    claims: Annotated[
        list[str], typer.Option("--claim", metavar="NAME=VALUE", help="All have to hold; `*` at the end is a wildcard.")
    ],
    json: Json = False,
) -> None:
    """Let pipelines come as a service account by their own tokens, without a stored secret."""
    wanted = dict(claim.partition("=")[::2] for claim in claims)
    if not all(name and value for name, value in wanted.items()):
        raise typer.BadParameter("write each claim as NAME=VALUE, e.g. repository=org/model", param_hint="--claim")
    with base.client() as hallmark:
        written = hallmark.bind_workload(account, issuer, wanted)
    output.show(written, lambda: output.say(f"Bound as {written['workload']}: {_claims(wanted)} comes as {account}"))


def unbind(
    account: Account,
    workload: Annotated[str, typer.Argument(help="Its id, from `hallmark account show`.")],
    json: Json = False,
) -> None:
    """Let such pipelines come as the account no more."""
    with base.client() as hallmark:
        written = hallmark.unbind_workload(account, workload)
    output.show(written, lambda: output.say(f"Unbound {workload} of {account}"))


def sign_out(
    account: Account,
    session: Annotated[str, typer.Argument(help="Its id, from `hallmark account show`.")],
    json: Json = False,
) -> None:
    """End somebody's session at the server."""
    with base.client() as hallmark:
        written = hallmark.close_session(account, session)
    output.show(written, lambda: output.say(f"Signed out {account} ({session})"))
