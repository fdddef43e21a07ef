"""What the pages ask of the views."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from registry_core.access import Reach
from registry_core.projections import Row
from registry_core.store.connections import Pool

from hallmark_console.portfolio import EXPIRES_SOON

PAGE_SIZE: Final = 100
TIMELINE_SIZE: Final = 100
DECIDED_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Search:
    """What the portfolio is narrowed to; empty texts narrow nothing. `page` counts from 1."""

    q: str = ""
    state: str = ""
    kind: str = ""
    risk: str = ""
    page: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(text.replace("\x00", "") for text in (self.q.strip(), self.state, self.kind, self.risk))


_MATCHING: Final = """
    ($1 = '' or position(lower($1) in lower(concat_ws(' ', ref, owner, purpose))) > 0)
    and ($2 = '' or state = $2) and ($3 = '' or kind = $3) and ($4 = '' or risk_tier = $4)
    and ref ^@ any($5::text[])"""


async def _rows(pool: Pool, sql: str, *arguments: Any) -> list[Row]:
    found = await pool.fetch(f"select to_jsonb(t) as row from ({sql}) t", *arguments)
    return [json.loads(row["row"]) for row in found]


_UNOWNED: Final = """
    not exists (select from unnest(array[v.owner, v.backup_owner]) named
                 where named is not null
                   and not exists (select from views.accounts a where a.account = named and a.closed))"""
"""Nobody is named who answers for it, or the account of everybody who is named is closed."""


async def state_counts(pool: Pool, reach: Reach) -> dict[str, int]:
    """Versions by state."""
    counting = "select state, count(*) as n from views.version_overview where ref ^@ any($1::text[]) group by state"
    rows = await pool.fetch(counting, reach.prefixes)
    return {row["state"]: row["n"] for row in rows}


async def coverage(pool: Pool, reach: Reach) -> Row:
    """How many of the versions that are not retired have what promotion asks for."""
    (row,) = await _rows(
        pool,
        f"""select (select count(distinct (kind, name)) from views.version_overview
                    where ref ^@ any($1::text[])) as assets,
                  count(*) as versions, count(*) filter (where not {_UNOWNED}) as owned,
                  count(*) filter (where sbom_matched) as sbom,
                  count(*) filter (where provenance_verified) as provenance,
                  count(*) filter (where scan_verdict = 'clean') as scanned,
                  count(*) filter (where evaluations_passed > 0 and evaluations_failed = 0) as evaluated
             from views.version_overview v where state <> 'retired' and ref ^@ any($1::text[])""",
        reach.prefixes,
    )
    return row


async def wanting_attention(pool: Pool, now: datetime, reach: Reach) -> list[Row]:
    """Rows that `portfolio.attention` may find something in; at most 200."""
    return await _rows(
        pool,
        f"""select v.*, {_UNOWNED} as unowned from views.version_overview v
            where state <> 'retired' and ref ^@ any($2::text[])
              and (open_critical > 0 or scan_verdict = 'malicious' or clocks <> '[]'
                   or (state in ('approved', 'deprecated') and {_UNOWNED})
                   or exists (select from jsonb_array_elements(approvals) a
                               where (a->>'expires_at')::timestamptz < $1))
            order by open_critical desc, updated_at desc limit 200""",
        now + EXPIRES_SOON,
        reach.prefixes,
    )


async def versions(pool: Pool, search: Search, reach: Reach) -> tuple[list[Row], int]:
    """One page of the portfolio, newest change first, and how many versions match in all."""
    arguments = (*search.arguments, reach.prefixes)
    total = await pool.fetchval(f"select count(*) from views.version_overview where {_MATCHING}", *arguments)
    rows = await _rows(
        pool,
        f"""select * from views.version_overview where {_MATCHING}
             order by updated_at desc, ref limit $6 offset $7""",
        *arguments, PAGE_SIZE, (search.page - 1) * PAGE_SIZE,
    )  # fmt: skip
    return rows, int(total)


async def timeline(pool: Pool, ref: str, before: int | None = None) -> list[Row]:
    """What happened to a version, newest first, up to TIMELINE_SIZE rows before a log index."""
    return await _rows(
        pool,
        """select * from views.version_timeline where ref = $1 and ($2::bigint is null or log_index < $2)
            order by log_index desc limit $3""",
        ref, before, TIMELINE_SIZE,
    )  # fmt: skip


async def promotions_of(pool: Pool, ref: str) -> list[Row]:
    """The version's promotions, newest first."""
    return await _rows(
        pool, "select * from views.review_queue where ref = $1 order by opened_at desc, key limit 50", ref
    )


async def reviews(pool: Pool, reach: Reach) -> dict[str, list[Row]]:
    """Promotions under way, expedited and oldest first, and those decided last."""
    under_way = """select * from views.review_queue where status = $1 and ref ^@ any($2::text[])
                    order by expedite desc, opened_at, key limit 200"""
    decided = """select * from views.review_queue
                  where status in ('approved', 'rejected', 'refused') and ref ^@ any($2::text[])
                  order by closed_at desc, key limit $1"""
    return {
        "waiting": await _rows(pool, under_way, "in review", reach.prefixes),
        "auditing": await _rows(pool, under_way, "auditing", reach.prefixes),
        "decided": await _rows(pool, decided, DECIDED_SIZE, reach.prefixes),
    }


async def open_findings(pool: Pool, reach: Reach) -> list[Row]:
    """Open findings, those with a clock first, then the most severe; at most 500."""
    return await _rows(
        pool,
        """select * from views.findings where open and ref ^@ any($1::text[])
            order by clock_due nulls last,
                     array_position(array['critical', 'high', 'unknown', 'medium', 'low', 'none'], severity),
                     found_at desc, key limit 500""",
        reach.prefixes,
    )
