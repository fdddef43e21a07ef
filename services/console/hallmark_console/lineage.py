"""Where a version comes from and where it went: the graph of dependencies, walked by one recursive query."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from registry_core.access import Reach, asset_of
from registry_core.projections import Row
from registry_core.store.connections import Pool
from registry_core.values import parse_ref

MOST_VERSIONS: Final = 5000
DEEPEST: Final = 10_000
"""Steps of a walk without a depth of its own. `numeric` has room for 16,383."""
MOST_EDGES: Final = 20_000


class Direction(StrEnum):
    UP = "up"
    """What the version was made of."""
    DOWN = "down"
    """What was made of it, or runs with it."""
    BOTH = "both"


_WALK: Final = """
    {way}(ref, step) as (
      select $1::text, 0::numeric where $2 in ('{way}', 'both')
      union
      select e.{far}, round(0::numeric, scale(w.step) + 1)
        from {way} w cross join lateral (
          select {far} from views.lineage where {near} = w.ref order by {far}) e
       where scale(w.step) <= $3),
    {way}_found as materialized (
      select ref, scale(step) as depth, row_number() over () as place from {way} limit $4 + 1)"""
"""Breadth first. All zeros are equal to UNION, whatever their scale: a version that was found is not found again, by
another way or in a circle, and the scale tells in how many steps it was found first. So each version is expanded once.
The outer limit ends the walk early. It goes one step beyond the depth, to tell whether there is more."""
_KEPT: Final = """
    {way}_kept as materialized (select * from {way}_found where depth <= $3 order by place limit $4),
    {way}_below as materialized (
      select e.* from {way}_kept k cross join lateral (
        select * from views.lineage where dependant = k.ref order by depends_on) e)"""
"""With what each version depends on, found by the dependant: that are a few, while thousands may depend on one.

A prepared plan knows neither limit nor depth, and takes each of these for one row: joined with each other, it would
compare every pair. `is true` keeps the condition below from becoming a join; it is looked up in a hash table."""
_QUERY: Final = f"""
    with recursive {_WALK.format(way="up", near="dependant", far="depends_on")},
                   {_WALK.format(way="down", near="depends_on", far="dependant")},
    {_KEPT.format(way="up")}, {_KEPT.format(way="down")},
    kept as (select ref, u.depth as up, d.depth as down from up_kept u full join down_kept d using (ref)),
    edges as (
      select * from up_below where (depends_on in (select ref from up_kept)) is true
      union select * from down_below where (depends_on in (select ref from down_kept)) is true)
    select
      (select json_agg(json_build_object(
                'ref', k.ref, 'up', k.up, 'down', k.down, 'state', v.state, 'owner', v.owner, 'digest', v.digest)
                order by coalesce(k.up, k.down), k.down, k.ref)
         from kept k
         left join lateral (select * from views.version_overview where key = k.ref limit 1) v on true) as nodes,
      (select json_agg(json_build_object(
                'dependant', dependant, 'depends_on', depends_on, 'relation', relation, 'uses', uses, 'newer', newer)
                order by dependant, depends_on)
         from (select * from edges order by dependant, depends_on limit {MOST_EDGES} + 1) e) as edges,
      (select max(depth) from up_found) > $3 as up_deeper,
      (select max(depth) from down_found) > $3 as down_deeper,
      (select count(*) from up_found where depth <= $3) > $4 as up_larger,
      (select count(*) from down_found where depth <= $3) > $4 as down_larger"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which version, which way, in at most how many steps (None: all), and at most how many versions each way."""

    ref: str
    direction: Direction = Direction.BOTH
    depth: int | None = None
    limit: int = 1000


async def walk(pool: Pool, asked: Asked) -> dict[str, Any]:
    """Versions and dependencies found, and what was left out. A single version without state: nobody knows it."""
    steps = DEEPEST if asked.depth is None else asked.depth
    (row,) = await pool.fetch(_QUERY, asked.ref, asked.direction.value, steps, asked.limit)
    nodes, edges = [_node(node) for node in json.loads(row["nodes"])], json.loads(row["edges"] or "[]")
    cut = [found for way in ("up", "down") if (found := _cut(asked, way, row))]
    if len(edges) > MOST_EDGES:
        cut.append(_left_out("both", "edges", f"only the first {MOST_EDGES} dependencies are told", "lower the limit"))
    return {
        "ref": asked.ref,
        "direction": asked.direction,
        "depth": asked.depth,
        "nodes": nodes,
        "edges": edges[:MOST_EDGES],
        "outdated": _outdated(nodes, edges),
        "complete": not cut,
        "cut": cut,
    }


def readable(graph: dict[str, Any], reach: Reach) -> dict[str, Any]:
    """The graph without versions of assets out of reach, and saying so where there are some."""
    nodes = [node for node in graph["nodes"] if reach.covers(str(asset_of(node["ref"])))]
    if len(nodes) == len(graph["nodes"]):
        return graph
    kept = {node["ref"] for node in nodes}
    told = "versions of assets that you may not read are left out"
    return {
        **graph,
        "nodes": nodes,
        "edges": [edge for edge in graph["edges"] if {edge["dependant"], edge["depends_on"]} <= kept],
        "outdated": [edge for edge in graph["outdated"] if {edge["dependant"], edge["depends_on"]} <= kept],
        "complete": False,
        "cut": [*graph["cut"], _left_out(graph["direction"], "access", told, "ask for a role on them")],
    }


def _node(node: Row) -> Row:
    return {**node, "kind": parse_ref(node["ref"]).kind}


def _outdated(nodes: Sequence[Row], edges: Sequence[Row]) -> list[Row]:
    """What changed underneath, at any height: dependencies that a newer version followed."""
    above = {node["ref"] for node in nodes if node["up"] is not None}
    return [edge for edge in edges if edge["newer"] and {edge["dependant"], edge["depends_on"]} <= above]


def _cut(asked: Asked, way: str, row: Any) -> Row | None:
    if row[f"{way}_larger"]:
        told = f"more than {asked.limit} versions were found; only the nearest are told"
        return _left_out(way, "limit", told, f"raise limit (at most {MOST_VERSIONS}), or begin further on")
    if row[f"{way}_deeper"]:
        steps = DEEPEST if asked.depth is None else asked.depth
        return _left_out(way, "depth", f"there is more beyond {steps} steps", "raise depth, or leave it out for all")
    return None


def _left_out(direction: str, because: str, detail: str, fix: str) -> Row:
    return {"direction": direction, "because": because, "detail": detail, "fix": fix}
