"""What an administrator asks of projections: which tables there are, build one anew, show it, remove it.

Nothing is done here but noted: the process that has the projection's code does it, whichever service that is.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from registry_core.notifier import REBUILDS
from registry_core.problems import Problem, conflict, not_found
from registry_core.store.connections import Connection, Pool

_COLUMNS = """p.projection as name, p.name as "table", p.version, p.generation, p.state, p.switch_when_ready,
    p.log_index, s.next_index - 1 as head, p.begun_at, p.ready_at, p.live_since, p.problem,
    pg_total_relation_size(to_regclass('projection.' || quote_ident(p.name))) as bytes"""
_LIST = f"""select {_COLUMNS} from work.projections p, log.sealer_state s
             where $1::text is null or p.projection = $1
             order by p.projection, p.state <> 'live', p.version desc, p.generation desc"""


@dataclass(frozen=True, slots=True)
class TableState:
    """A table of a projection."""

    name: str
    """Of the projection, and of the view that shows its live table."""
    table: str
    version: int
    generation: int
    state: str
    """`live`: the view shows it; `building`; `ready`: caught up, and kept so until it is switched to; `kept`: not kept
    up to date, but it can be switched back to."""
    switch_when_ready: bool
    log_index: int
    """Up to which it has taken events in."""
    head: int
    """Log index of the newest sealed event."""
    bytes: int | None
    """On disk, with indexes."""
    begun_at: datetime
    ready_at: datetime | None
    live_since: datetime | None
    problem: str | None

    @property
    def lag(self) -> int:
        return self.head - self.log_index


async def list_tables(pool: Pool | Connection, projection: str | None = None) -> list[TableState]:
    """Every table, the live one of each projection first. Raises Problem 404 for a projection there is not."""
    rows = await pool.fetch(_LIST, projection)
    if projection is not None and not rows:
        raise not_found(f"projection {projection!r}", "`hallmark projections list` names those there are")
    return [TableState(**dict(row)) for row in rows]


async def rebuild(pool: Pool, projection: str, *, switch: bool, request: UUID | None = None) -> TableState:
    """Have the live table's version built anew beside it, and switched to if so wished. Raises Problem 404, 409.

    The same request again, here and in `switch`, answers with the same table and does nothing.
    """
    live = _one(await list_tables(pool, projection), "live")
    if again := await _of_request(pool, projection, request):
        return again
    try:
        async with pool.acquire() as connection, connection.transaction():
            table = await connection.fetchval(
                "select work.add_generation($1, $2, $3)", projection, live.version, switch
            )
            await connection.execute("update work.projections set request = $2 where name = $1", table, request)
            await connection.execute("select pg_notify($1, $2)", REBUILDS, projection)
    except asyncpg.UniqueViolationError:
        under_way = next(t for t in await list_tables(pool, projection) if t.state in ("building", "ready"))
        raise conflict(f"{under_way.table} is {under_way.state} already", _after(under_way)) from None
    return await _find(pool, projection, table)


async def switch(pool: Pool, projection: str, table: str | None = None, request: UUID | None = None) -> TableState:
    """Have the view show another table once that has caught up: the one named; else the one that is ready or being
    built; else the one shown before. Raises Problem 404, 409."""
    tables = await list_tables(pool, projection)
    if again := await _of_request(pool, projection, request):
        return again
    target = await _find(pool, projection, table) if table else _candidate(tables)
    if target.state == "live":
        raise conflict(f"{target.table} is what the view shows", f"`hallmark projections rebuild {projection}` first")
    busy = next((t for t in tables if t.state in ("building", "ready") and t.table != target.table), None)
    if busy:
        raise conflict(f"{busy.table} is {busy.state}", f"`hallmark projections drop {projection} {busy.table}` first")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """update work.projections
                  set switch_when_ready = true, problem = null, request = $2,
                      state = case state when 'kept' then 'building' else state end
                where name = $1 and state <> 'live'""",
            target.table,
            request,
        )
        await connection.execute("select pg_notify($1, $2)", REBUILDS, projection)
    return await _find(pool, projection, target.table)


async def drop(pool: Pool, projection: str, table: str) -> TableState:
    """Remove a table that the view does not show; a build of it ends. Raises Problem 404, 409."""
    found = await _find(pool, projection, table)
    try:
        await pool.execute("select work.drop_generation($1)", table)
    except asyncpg.ObjectInUseError as error:
        raise conflict(str(error), "switch to another table first, or wait for the build to end") from None
    except asyncpg.LockNotAvailableError:
        raise Problem(503, "unavailable", f"{table} is being read or written", fix="try again in a second") from None
    return found


async def _find(pool: Pool, projection: str, table: str) -> TableState:
    found = [t for t in await list_tables(pool, projection) if t.table == table]
    if not found:
        raise not_found(f"table {table!r} of {projection}", "`hallmark projections list` names the tables there are")
    return found[0]


async def _of_request(pool: Pool, projection: str, request: UUID | None) -> TableState | None:
    table = await pool.fetchval("select name from work.projections where request = $1", request)
    return await _find(pool, projection, table) if table else None


def _one(tables: list[TableState], state: str) -> TableState:
    return next(t for t in tables if t.state == state)


def _candidate(tables: list[TableState]) -> TableState:
    """What a switch without a name means. Raises Problem 409."""
    kept = [t for t in tables if t.state == "kept" and t.live_since]
    under_way = [t for t in tables if t.state in ("building", "ready")]
    if not under_way and not kept:
        fix = f"`hallmark projections rebuild {tables[0].name}` first"
        raise conflict(f"there is no other table of {tables[0].name} to switch to", fix)
    return (under_way or sorted(kept, key=lambda t: t.live_since or t.begun_at, reverse=True))[0]


def _after(under_way: TableState) -> str:
    if under_way.state == "ready":
        return f"`hallmark projections switch {under_way.name}` to show it, or drop it"
    return "wait for it, or `hallmark projections drop` it"
