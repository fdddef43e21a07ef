"""Reading views: rows in the order of their last change, so that a log index is a place to go on from."""

import json
from typing import Any, Final

from registry_core.projections import Row, stands_at
from registry_core.store.connections import Pool

from hallmark_console.catalogue import Filter, View

MAX_LIMIT: Final = 1000


async def read_rows(pool: Pool, view: View, after: int, limit: int, matching: Filter) -> list[Row]:
    """At most `limit` rows changed after a log index, oldest change first; rows that one event changed come together.

    `matching` has its parameters numbered from 3 on.
    """
    rows = await pool.fetch(
        f"""select to_jsonb(t) as row from views."{view.name}" t where log_index > $1 {matching.sql}
             order by log_index fetch first $2 rows with ties""",
        after, limit, *matching.values,
    )  # fmt: skip
    return [json.loads(row["row"]) for row in rows]


async def page_of(pool: Pool, view: View, after: int, limit: int, matching: Filter) -> dict[str, Any]:
    """One page as a document. `next` is the `after` of the next page, absent on the last one."""
    known = await stands_at(pool, view)  # before the rows: a subscription from here on misses nothing
    rows = await read_rows(pool, view, after, limit, matching)
    more = {"next": rows[-1]["log_index"]} if len(rows) >= limit else {}
    return {"view": view.name, "log_index": known, "rows": rows, **more}
