"""Which version served a customer at a time, from the view `served_windows`."""

import json
from datetime import datetime
from typing import Any, Final

from registry_core.store.connections import Pool

from hallmark_lifecycle.projections import SERVED
from hallmark_lifecycle.windows import minute

_WINDOW: Final = f"""
    select deployment, environment, window_start, window_end, ref, state, approved, context, requests,
           coalesce(customers -> $2::text, customers -> $3::text) as customer
      from views.{SERVED.name} where window_start = $1 order by environment, deployment, ref"""
_SHARED: Final = ("deployment", "environment", "window_start", "window_end", "ref", "state", "approved")


async def served_to(pool: Pool, pseudonym: str | None, earlier: str, at: datetime) -> dict[str, Any]:
    """The customer's windows in the minute of `at`, and how much of all that minute's requests is unattributed.

    `earlier` is the pseudonym in windows from before customers had one of their own.
    """
    rows = await pool.fetch(_WINDOW, minute(at), pseudonym, earlier)
    unattributed = sum(row["requests"] for row in rows if row["ref"] is None)
    total = sum(row["requests"] for row in rows)
    return {
        "served": [_answer(row) for row in rows if row["customer"]],
        "unattributed": {"requests": unattributed, "of": total},
    }


def _answer(row: Any) -> dict[str, Any]:
    context = json.loads(row["context"]) if row["context"] else None
    return {**{name: row[name] for name in _SHARED}, "context": context, **json.loads(row["customer"])}
