"""`hallmark admission check`: the gate for pipelines."""

from datetime import datetime
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json, Ref, moment


def add_to(app: typer.Typer) -> None:
    admission = base.group("May it serve?")
    admission.callback()(lambda: None)
    admission.command("check")(check)
    app.add_typer(admission, name="admission")


def check(
    ref: Ref,
    *,
    business_function: Annotated[str, typer.Option("--for", help="Business function, e.g. credit-scoring.")],
    environment: Annotated[str, typer.Option(help="Where it would serve.")] = "production",
    data_class: Annotated[str, typer.Option(help="E.g. public, internal, personal.")] = "internal",
    region: Annotated[str, typer.Option(help="Where its users are.")] = "any",
    at: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="As of a time.")] = None,
    new_use: Annotated[bool, typer.Option(help="A new deployment, or one that exists.")] = True,
    json: Json = False,
) -> None:
    """Ask whether a version may serve. Exit code 0: yes; 1: no, with the reasons; 3: nobody answered."""
    with base.client() as hallmark:
        found = hallmark.admission(
            ref, environment=environment, business_function=business_function, data_class=data_class, region=region,
            at=at, new_use=new_use,
        )  # fmt: skip
    output.show(found, lambda: _show(found))
    raise typer.Exit(0 if found.get("allowed") is True else base.REFUSED)


def _show(found: dict[str, Any]) -> None:
    allowed = found.get("allowed") is True
    output.say(f"{found['ref']} {'may serve' if allowed else 'may NOT serve'}", "green" if allowed else "red")
    output.facts({"digest": found.get("digest"), "state": found.get("state"), "at": found.get("at")})
    for reason in found.get("reasons") or []:
        output.facts({"reason": reason["detail"], "  owner": reason.get("owner"), "  fix": reason.get("fix")})
