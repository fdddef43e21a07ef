"""What has to hold of the log after whatever happened to the services, and when they have come to rest."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from faults.cluster import Cluster, Installation
from hallmark.client import Client
from registry_core.proofs.pack import verify_pack
from support import until

_BEHIND = """
    select count(*) from unnest($1::text[], $2::text[]) f(consumer, topic) join log.partition_heads h using (topic)
      left join work.watermarks w using (consumer, topic, partition) where w.log_index is distinct from h.log_index"""
_WAITING = """
    select (select count(*) from log.events) - (select count(*) from log.sealed) as unsealed,
           (select count(*) from work.jobs where state = 'waiting') as jobs,
           (select next_index from log.sealer_state) - (select next_index from work.relay) as unpublished,
           (select count(*) from work.projections p, log.sealer_state s
             where p.name = any($1) and p.log_index < s.next_index - 1) as projections"""
_NONE = {
    "gaps in the log": """
        select count(*) from (select log_index, row_number() over (order by log_index) - 1 as due from log.sealed) s
         where log_index <> due""",
    "events without a place in the log": """
        select count(*) from log.events e where not exists (select from log.sealed s where s.position = e.position)""",
    "gaps in streams, or streams out of order in the log": """
        select count(*) from (select version, row_number() over (partition by stream_id order by log_index) - 1 as due
                                from log.events join log.sealed using (position)) s where version <> due""",
    "event ids that are not unique": "select count(*) - count(distinct event_id) from log.events",
    "consequences of one cause that are there twice": """
        select count(*) from (select from log.events where causation_id is not null
                               group by causation_id, stream_id, type, body having count(*) > 1) twice""",
    "promotions that ended twice": """
        select count(*) from (select from log.events where type like 'io.hallmark.version.promotion-closed.%'
                               group by convert_from(body, 'utf8')::jsonb ->> 'promotion' having count(*) > 1) twice""",
    "inferences that were counted twice, or not": """
        select abs((select count(*) from work.served_inferences) - (
          select coalesce(sum((convert_from(body, 'utf8')::jsonb ->> 'requests')::int), 0) from log.events
           where type like 'io.hallmark.serving.window-recorded.%'))""",
}


async def at_rest(owner: asyncpg.Connection, installation: Installation, seconds: float = 90.0) -> None:
    """Wait until everything is sealed, published, consumed, projected and worked off."""
    try:
        await until(lambda: _rests(owner, installation), seconds)
    except TimeoutError:
        raise AssertionError(f"still busy after {seconds:g} s: {await _unrest(owner, installation)}") from None


async def _rests(owner: asyncpg.Connection, installation: Installation) -> bool:
    return not any((await _unrest(owner, installation)).values())


async def _unrest(owner: asyncpg.Connection, installation: Installation) -> dict[str, Any]:
    follows = [(name, topic) for name, topics in installation.topics.items() for topic in topics]
    async with owner.transaction(isolation="repeatable_read"):  # at rest everywhere at one moment
        behind = await owner.fetchval(_BEHIND, [name for name, _ in follows], [topic for _, topic in follows])
        waiting = await owner.fetchrow(_WAITING, installation.projections)
    return {"partitions": behind, **dict(waiting or {})}


async def check_log(owner: asyncpg.Connection) -> None:
    """Nothing is lost and nothing is doubled."""
    async with owner.transaction(isolation="repeatable_read"):
        found = {what: await owner.fetchval(query) for what, query in _NONE.items()}
    assert found == dict.fromkeys(_NONE, 0)


async def verify_log(cluster: Cluster, held_checkpoint: str, folder: Path) -> None:
    """The export verifies offline, and extends the log as it was when somebody took a checkpoint of it."""
    await asyncio.to_thread(_verify, cluster, held_checkpoint, folder / "log.hallmark")


def _verify(cluster: Cluster, held_checkpoint: str, path: Path) -> None:
    with Client(cluster.site.url, cluster.site.token) as client:
        client.export_log(path)
        vkey = client.log_key()["vkey"]
    with path.open("rb") as pack:
        report = verify_pack(pack, [vkey], held_checkpoint)
    assert report.ok, report.problems
    assert report.events
