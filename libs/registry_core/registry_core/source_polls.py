"""What came of asking each connected source the last time (`work.source_polls`): why one of them is quiet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from registry_core.messaging.dead_letters import storable
from registry_core.store.connections import Pool

Outcome = Literal["done", "away", "refused", "failed"]
"""Asked and answered; did not answer as it should; did not take our credentials; a fault of ours."""
LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class LastPoll:
    at: datetime
    outcome: Outcome
    reason: str | None
    """Why not, and what to do; None where it is done."""
    outcome_since: datetime
    """Since when every poll ended so."""


async def record_poll(pool: Pool, source: str, outcome: Outcome, reason: str | None, now: datetime) -> None:
    """Of several replicas the last one to ask is told."""
    await pool.execute(
        """insert into work.source_polls as known (source, at, outcome, reason, outcome_since)
           values ($1, $2, $3, $4, $2)
           on conflict (source) do update set at = excluded.at, outcome = excluded.outcome, reason = excluded.reason,
             outcome_since =
               case when known.outcome = excluded.outcome then known.outcome_since else excluded.at end""",
        source, now, outcome, reason and storable(reason)[:LONGEST],
    )  # fmt: skip


async def last_polls(pool: Pool) -> dict[str, LastPoll]:
    rows = await pool.fetch("select source, at, outcome, reason, outcome_since from work.source_polls")
    return {row["source"]: LastPoll(**{name: row[name] for name in LastPoll.__slots__}) for row in rows}
