"""`hallmark policy show|activate`."""

from pathlib import Path
from typing import Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import AsOf, Json, KnownAt

Name = Annotated[str, typer.Argument(help="The policy's name.")]


def add_to(app: typer.Typer) -> None:
    policy = base.group("The rules that promotions are decided by.")
    policy.command("show")(show)
    policy.command("activate")(activate)
    app.add_typer(policy, name="policy")


def show(name: Name, *, as_of: AsOf = None, known_at: KnownAt = None, json: Json = False) -> None:
    """Print the document that is active, or was; `--json` also says who made it so and when."""
    with base.client() as hallmark:
        found = hallmark.policy_activation(name, as_of=as_of, known_at=known_at)
    output.show(found, lambda: output.say(found["document"]))


def activate(
    name: Name,
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The pack, YAML.")],
    json: Json = False,
) -> None:
    """Decide by this pack from now on."""
    with base.client() as hallmark:
        written = hallmark.activate_policy(name, path)
    output.show(written, lambda: output.say(f"Activated {name} with {written['digest']}"))
