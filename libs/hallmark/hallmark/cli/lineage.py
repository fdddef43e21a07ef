"""`hallmark lineage`: what a version was made of, and what was made of it or runs with it."""

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallmark.cli import output
from hallmark.cli.base import Json, RefOrAlias, client

if TYPE_CHECKING:
    from rich.tree import Tree

_TITLES = {"up": "made of", "down": "used by"}


def add_to(app: typer.Typer) -> None:
    app.command()(lineage)


def lineage(
    ref: RefOrAlias,
    *,
    up: Annotated[bool, typer.Option("--up", help="Only what it was made of.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what was made of it, or runs with it.")] = False,
    depth: Annotated[int | None, typer.Option(min=1, help="So many steps at most; all without it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=5000, help="So many versions at most, each way.")] = 1000,
    at_least: Annotated[int | None, typer.Option(help="Wait until this log index is in it.")] = None,
    json: Json = False,
) -> None:
    """Show where a version comes from and where it went, with the states of all."""
    ways = ["up"] if up and not down else ["down"] if down and not up else ["up", "down"]
    with client() as hallmark:
        direction = ways[0] if len(ways) == 1 else "both"
        found = hallmark.lineage(ref, direction=direction, depth=depth, limit=limit, at_least=at_least)
    output.show(found, lambda: _show(found, ways))


def _show(found: dict[str, Any], ways: list[str]) -> None:
    for way in ways:
        output.tree(_drawn(found, way))
    for edge in found["outdated"]:
        output.say(f"{edge['newer']} followed {edge['depends_on']}, which {edge['dependant']} depends on", "yellow")
    for cut in found["cut"]:
        output.say(f"Not all is shown ({cut['direction']}): {cut['detail']}; {cut['fix']}", "yellow")


def _drawn(found: dict[str, Any], way: str) -> "Tree":
    """Each version once, below the nearest one that leads to it; where it is met again, its name alone."""
    from rich.tree import Tree  # noqa: PLC0415 - only for a person

    nodes = {node["ref"]: node for node in found["nodes"] if node[way] is not None}
    near, far = ("dependant", "depends_on") if way == "up" else ("depends_on", "dependant")
    onward = defaultdict[str, list[Any]](list)
    for edge in found["edges"]:
        onward[edge[near]].append((edge[far], edge["relation"]))
    root = Tree(output.line(found["ref"], _state(nodes[found["ref"]]), _TITLES[way]))
    branches = {found["ref"]: root}
    for ref in sorted(nodes, key=lambda name: (nodes[name][way], name)):
        for other, relation in (pair for pair in onward[ref] if pair[0] in nodes):
            if other in branches:
                branches[ref].add(output.line(other, "", f"{relation}, shown elsewhere"))
            else:
                branches[other] = branches[ref].add(output.line(other, _state(nodes[other]), relation))
    return root


def _state(node: dict[str, Any]) -> str:
    return node["state"] or "not registered"
