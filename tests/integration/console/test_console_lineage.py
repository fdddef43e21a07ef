"""The walk over the graph of dependencies, against a plain walk in Python over the same graph."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from random import Random
from typing import Any

import asyncpg
import pytest
from conftest import Database
from hallmark_console.lineage import Asked, Direction, walk
from hallmark_console.projections import LINEAGE, VERSION_OVERVIEW
from registry_core.events.versions import DependencyChanged, VersionRegistered
from registry_core.store import ANY, Append
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.values import File, Metadata
from support import new
from support_projections import Log, a_log

DIGEST = "sha256:" + "0" * 64
KINDS = ("model", "adapter", "prompt", "dataset", "code")
Graph = Mapping[str, tuple[str, ...]]
"""By version, what it depends on."""


def registered(ref: str, *depends_on: str) -> VersionRegistered:
    return VersionRegistered(
        ref=ref, digest=DIGEST, files=(File(name="w", digest=DIGEST),), metadata=Metadata(depends_on=depends_on),
        registered_by="ci",
    )  # fmt: skip


def random_graph(number: int, random: Random) -> Graph:
    """Up to a dozen versions. Two of three have no circle; some depend on what nobody registered."""
    refs = [f"{random.choice(KINDS)}:g{number}-{n}@1.0.0" for n in range(random.randint(1, 12))]
    acyclic, density = number % 3 > 0, random.uniform(0.05, 0.5)

    def of(n: int) -> tuple[str, ...]:
        others = refs[:n] if acyclic else [ref for ref in refs if ref != refs[n]]
        return tuple(ref for ref in others if random.random() < density)

    unknown = (f"dataset:unknown{number}@1.0.0",) if random.random() < 0.3 else ()
    return {ref: of(n) + (unknown if n == 0 else ()) for n, ref in enumerate(refs)}


def upwards(graph: Graph) -> Graph:
    return graph


def downwards(graph: Graph) -> Graph:
    refs = {*graph, *(ref for others in graph.values() for ref in others)}
    return {ref: tuple(sorted(d for d, others in graph.items() if ref in others)) for ref in refs}


def steps(onward: Graph, start: str, depth: int | None) -> dict[str, int]:
    """Each version found, with its distance: breadth first, nothing twice."""
    found, waiting = {start: 0}, deque([start])
    while waiting:
        ref = waiting.popleft()
        if depth is not None and found[ref] == depth:
            continue
        for other in onward.get(ref, ()):
            if other not in found:
                found[other] = found[ref] + 1
                waiting.append(other)
    return found


def edges(graph: Graph, *within: Mapping[str, int]) -> set[tuple[str, str]]:
    return {(d, o) for d, others in graph.items() for o in others if any(d in w and o in w for w in within)}


@pytest.fixture
async def log(pool: Pool, database: Database) -> AsyncIterator[Log]:
    async with a_log(pool, database.owner_dsn, database.service_dsn) as log:
        await log.install(LINEAGE, VERSION_OVERVIEW)
        log.run(LINEAGE, VERSION_OVERVIEW)
        yield log


async def record(log: Log, *graphs: Graph) -> None:
    appends = [Append(ref, [new(registered(ref, *others))], ANY) for graph in graphs for ref, others in graph.items()]
    await PostgresEventStore(log.pool).append(*appends)
    await log.seal()
    await log.caught_up(LINEAGE)
    await log.caught_up(VERSION_OVERVIEW)


def told(answer: Mapping[str, Any], way: str) -> dict[str, int]:
    return {node["ref"]: node[way] for node in answer["nodes"] if node[way] is not None}


def told_edges(answer: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(edge["dependant"], edge["depends_on"]) for edge in answer["edges"]}


def questions(graph: Graph, random: Random) -> Iterator[tuple[str, int | None]]:
    for ref in downwards(graph):
        yield ref, None
        yield ref, random.randint(1, 4)


@pytest.mark.parametrize("seed", range(3))
async def test_the_query_finds_what_a_plain_walk_finds(log: Log, seed: int) -> None:
    random = Random(seed)
    graphs = [random_graph(number, random) for number in range(40)]
    await record(log, *graphs)
    for graph in graphs:
        for ref, depth in questions(graph, random):
            answer = await walk(log.pool, Asked(ref, Direction.BOTH, depth))
            up, down = steps(upwards(graph), ref, depth), steps(downwards(graph), ref, depth)
            assert (told(answer, "up"), told(answer, "down")) == (up, down), (graph, ref, depth)
            assert told_edges(answer) == edges(graph, up, down)
            whole = [steps(upwards(graph), ref, None), steps(downwards(graph), ref, None)]
            deeper = [way for way, kept, all_ in zip(("up", "down"), (up, down), whole, strict=True) if kept != all_]
            assert [(cut["direction"], cut["because"]) for cut in answer["cut"]] == [(way, "depth") for way in deeper]
            states = {node["ref"]: node["state"] for node in answer["nodes"]}
            assert states == {found: "draft" if found in graph else None for found in {**up, **down}}


@pytest.mark.parametrize("direction", [Direction.UP, Direction.DOWN])
async def test_one_way_tells_that_way_alone(log: Log, direction: Direction) -> None:
    chain = {"model:c@1.0.0": ("model:b@1.0.0",), "model:b@1.0.0": ("model:a@1.0.0",), "model:a@1.0.0": ()}
    await record(log, chain)
    answer = await walk(log.pool, Asked("model:b@1.0.0", direction))
    far = "model:a@1.0.0" if direction == Direction.UP else "model:c@1.0.0"
    assert told(answer, direction) == {"model:b@1.0.0": 0, far: 1}
    assert told(answer, "down" if direction == Direction.UP else "up") == {}


async def test_a_limit_keeps_the_nearest_and_says_that_it_cut(log: Log) -> None:
    hub = {f"model:m{n:02}@1.0.0": ("dataset:hub@1.0.0",) for n in range(30)}
    await record(log, hub, {"dataset:hub@1.0.0": (), "adapter:far@1.0.0": ("model:m00@1.0.0",)})
    answer = await walk(log.pool, Asked("dataset:hub@1.0.0", Direction.DOWN, limit=10))
    assert list(told(answer, "down")) == ["dataset:hub@1.0.0", *sorted(hub)[:9]]
    assert (answer["complete"], [cut["because"] for cut in answer["cut"]]) == (False, ["limit"])
    assert "raise limit" in answer["cut"][0]["fix"]
    whole = await walk(log.pool, Asked("dataset:hub@1.0.0", Direction.DOWN, limit=32))
    assert (whole["complete"], len(whole["nodes"])) == (True, 32)


async def test_a_chain_of_thousands_is_walked_to_its_end(log: Log) -> None:
    refs = [f"model:nightly@1.0.{n}" for n in range(3000)]
    await record(log, {ref: tuple(refs[max(n - 1, 0) : n]) for n, ref in enumerate(refs)})
    answer = await walk(log.pool, Asked(refs[-1], Direction.UP, limit=5000))
    assert answer["complete"]
    assert told(answer, "up")[refs[0]] == 2999


async def test_what_changed_underneath_is_seen_from_any_height(log: Log) -> None:
    """The dataset's next version marks the model trained on the old one; what stands on that model sees it above."""
    dataset, model, adapter = "dataset:claims@1.0.0", "model:base@1.0.0", "adapter:tone@1.0.0"
    await record(log, {dataset: (), model: (dataset,), adapter: (model,)})
    changed = DependencyChanged(ref=model, dependency=dataset, newer="dataset:claims@1.1.0", newer_digest=DIGEST)
    await PostgresEventStore(log.pool).append(Append(model, [new(changed)], ANY))
    await log.seal()
    await log.caught_up(LINEAGE)
    above = await walk(log.pool, Asked(adapter, Direction.UP))
    assert [(e["dependant"], e["depends_on"], e["newer"]) for e in above["outdated"]] == [
        (model, dataset, "dataset:claims@1.1.0")
    ]
    assert {(e["depends_on"], e["relation"]) for e in above["edges"]} == {(model, "base_model"), (dataset, "dataset")}
    assert (await walk(log.pool, Asked(dataset, Direction.UP)))["outdated"] == []


async def test_walks_do_not_disturb_each_other(log: Log) -> None:
    graph = random_graph(1, Random(7))
    await record(log, graph)
    alone = [await walk(log.pool, Asked(ref)) for ref in graph]
    assert await asyncio.gather(*(walk(log.pool, Asked(ref)) for ref in graph)) == alone


async def test_one_question_is_one_query(log: Log, owner: asyncpg.Connection) -> None:
    await record(log, {f"model:q{n}@1.0.0": tuple(f"model:q{k}@1.0.0" for k in range(n)) for n in range(20)})
    asked = list[str]()
    owner.add_query_logger(lambda query: asked.append(query.query))
    await walk(owner, Asked("model:q19@1.0.0"))
    await asyncio.sleep(0)  # the logger is called by the loop
    assert len(asked) == 1
