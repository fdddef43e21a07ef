"""`hallmark import`."""

from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_version)


def import_version(
    url: Annotated[str, typer.Argument(metavar="URL", help="hf://organisation/name@revision; main without one.")],
    *,
    ref: Annotated[str | None, typer.Option("--as", metavar="REF", help="What it is registered as.")] = None,
    source: Annotated[
        str | None, typer.Option(help="The connected source to ask; the repository is followed from then on.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is registered or refused.")] = True,
    json: Json = False,
) -> None:
    """Import one commit of a Hugging Face repository as a draft, every file verified."""
    with base.client() as hallmark:
        found = hallmark.import_version(url, ref=ref, source=source)
        if wait:
            with output.progress("importing", 0) as count:
                found = hallmark.wait_import(found["id"], progress=count)
    if found["state"] == "refused":
        base.fail(found["reason"], found["fix"])
    output.show(found, lambda: _shown(found))


def _shown(found: dict[str, Any]) -> None:
    output.say(_told(found))
    if claims := found.get("claims"):
        output.say("\nWhat its author claims, by card and configuration (kept as evidence, proven by nobody):")
        output.facts(_claimed(claims))
    for link in found.get("lineage") or []:
        named = f"{link['repository']}@{link['revision']}" if link["revision"] else link["repository"]
        output.say(f"base model {named}: {'depends on ' + link['ref'] if link['ref'] else 'a claim'} ({link['why']})")
    if claims:
        for told in [*claims["contradictions"], *claims["problems"], *claims["config"]["problems"]]:
            output.say(f"! {told}", "yellow")


def _claimed(claims: dict[str, Any]) -> dict[str, Any]:
    config = claims["config"]
    code = [f"{file}: {', '.join(places.values())}" for file, places in config["custom_code"].items()]
    return {
        "licence": claims["licence"],
        "base model, by the card": claims["base_model"],
        "base model, by the configuration": [base["repository"] for base in config["base_model"]],
        "datasets": claims["datasets"],
        "metrics": claims["metrics"],
        "results": f"{len(claims['results'])} numbers" if claims["results"] else None,
        "model type": config["model_type"],
        "architectures": config["architectures"],
        "dtype": config["dtype"],
        "runs code of its own": code,
        "Python files": claims["code_files"],
        "missing": claims["missing"],
    }


def _told(found: dict[str, Any]) -> str:
    if found["state"] == "done":
        return f"Registered {found['ref']} with {found['digest']}, commit {found['commit']}"
    return f"Import {found['id']} is {found['state']}; it goes on without you"
