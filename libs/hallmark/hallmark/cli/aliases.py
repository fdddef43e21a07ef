"""`hallmark alias set`, `remove`, `list`, `protect`."""

from typing import Annotated, Any

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import AsOf, Json, KnownAt, Ref, client

Asset = Annotated[
    str,
    typer.Argument(metavar="ASSET", parser=base.checked_asset, autocompletion=completion.assets, help="kind:name"),
]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", autocompletion=completion.aliases, help="E.g. champion.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the move.")]
IfMatch = Annotated[int | None, typer.Option("--if-match", help="Only if the asset's aliases are at this version.")]


def add_to(app: typer.Typer) -> None:
    aliases = base.group("Names such as champion that point to one version of an asset.")
    aliases.command("set")(set_alias)
    aliases.command("remove")(remove)
    aliases.command("list")(list_aliases)
    aliases.command("protect")(protect)
    app.add_typer(aliases, name="alias")


def set_alias(
    alias: Alias,
    ref: Ref,
    reason: Reason,
    *,
    if_match: IfMatch = None,
    json: Json = False,
) -> None:
    """Have an alias of the version's asset point to this version."""
    asset = ref.partition("@")[0]
    with client() as hallmark:
        found = hallmark.set_alias(asset, alias, ref, reason, if_match=if_match)
    output.show(found, lambda: output.say(f"{asset}@{alias} is {ref}"))


def remove(
    asset: Asset, alias: Alias, reason: Reason, *, if_match: IfMatch = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Have an alias point to nothing; its history stays."""
    with client() as hallmark:
        found = hallmark.remove_alias(asset, alias, reason, if_match=if_match)
    output.show(found, lambda: output.say(f"{asset}@{alias} is removed"))


def list_aliases(
    asset: Asset,
    alias: Annotated[
        str | None,
        typer.Argument(metavar="[ALIAS]", autocompletion=completion.aliases, help="One alias, with every move of it."),
    ] = None,
    *,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    json: Json = False,
) -> None:
    """Show the aliases of an asset, or one with its history, now or then."""
    with client() as hallmark:
        if alias:
            one = hallmark.alias(asset, alias, as_of=as_of, known_at=known_at)
            output.show(one, lambda: _history(one))
        else:
            found = hallmark.aliases(asset, as_of=as_of, known_at=known_at)
            output.show(found, lambda: _listed(found))


def protect(
    reason: Reason,
    aliases: Annotated[
        list[str] | None, typer.Argument(metavar="[ALIAS]...", help="All that are to be protected.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Protect none any more.")] = False,
    json: Json = False,
) -> None:
    """Say which aliases, of every asset, managers alone may move, and to approved versions alone."""
    if bool(aliases) == none:
        raise typer.BadParameter("name all aliases that are to be protected, or --none")
    with client() as hallmark:
        found = hallmark.protect_aliases(aliases or [], reason)
    output.show(found, lambda: output.say(f"protected: {', '.join(found['names']) or 'none'}"))


def _listed(found: dict[str, Any]) -> None:
    rows = [[a["alias"], a["ref"], a["state"], "yes" if a["protected"] else "no"] for a in found["aliases"]]
    output.table(["ALIAS", "VERSION", "STATE", "PROTECTED"], rows)


def _history(found: dict[str, Any]) -> None:
    output.facts({"alias": f"{found['asset']}@{found['alias']}", "version": found["ref"] or "none"})
    rows = [[m["occurred_at"], m["before"], m["after"], m["by"], m["reason"]] for m in found["history"]]
    output.table(["AT", "BEFORE", "AFTER", "BY", "REASON"], rows)
