"""`hallmark privacy show|erase|scrub`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

Person = Annotated[
    str, typer.Argument(metavar="PERSON", help="The name as given with the account, or the pseudonym (p-…).")
]


def add_to(app: typer.Typer) -> None:
    privacy = base.group("What is held about persons, and its erasure.")
    for command in (show, erase, scrub):
        privacy.command()(command)
    app.add_typer(privacy, name="privacy")


def show(person: Person, json: Json = False) -> None:
    """Everything that is held under a person's name: an answer to a request for access."""
    with base.client() as hallmark:
        found = hallmark.show_person(person)
    output.show(found, lambda: _shown(found))


def _shown(found: dict[str, Any]) -> None:
    output.facts({"pseudonym": found["person"], "accounts": len(found["accounts"])})
    for account in found["accounts"]:
        output.facts({name: value for name, value in account.items() if name not in ("events", "person")})
        rows = [[event["occurred_at"], event["type"], event["actor"]] for event in account["events"]]
        output.table(["AT", "EVENT", "BY"], rows, title=account["account"])


def erase(
    who: Annotated[str, typer.Argument(metavar="PERSON", help="As with `show`; with --customer, the customer's id.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for good and for everybody who may audit: without the name.")],
    customer: Annotated[bool, typer.Option("--customer", help="A customer of a model, not a user.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    json: Json = False,
) -> None:
    """Destroy what leads to a person: their key and name; their accounts are closed. It cannot be undone."""
    if not yes and typer.prompt("This cannot be undone. Type the name or id once more", err=True).strip() != who:
        base.fail("that is not the same; nothing was erased", "call it again, and type what you named")
    with base.client() as hallmark:
        written = hallmark.erase_customer(who, reason) if customer else hallmark.erase_person(who, reason)
    output.show(written, lambda: _erased(written))


def _erased(written: dict[str, Any]) -> None:
    output.facts({name: value for name, value in written.items() if name != "bodies"})
    if plain := len(written.get("bodies", ())):
        output.say(f"{plain} events from before sealing still name the person in plain text.", "yellow")
    output.say("Next: hallmark privacy scrub, as the database's owner; then let backups expire (docs/privacy.md)")


def scrub(
    data: Annotated[Path | None, typer.Option(help="The data folder of `hallmark up`.")] = None, json: Json = False
) -> None:
    """As the database's owner, finish erasures: plain bodies that they named, and what deleted keys left on disk."""
    from hallmark.cli.scrubbing import scrub_database  # noqa: PLC0415 - server modules

    bodies = scrub_database(data)
    output.show({"bodies_erased": bodies}, lambda: output.say(f"Erased the bodies of {bodies} events; keys are gone"))
