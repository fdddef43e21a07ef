"""Tables and views of projections, made by an owner of the schema. Again does no harm."""

from collections.abc import Sequence

from registry_core.projections.model import Projection
from registry_core.store.connections import Connection


async def install(connection: Connection, projections: Sequence[Projection]) -> None:
    """Create what is missing. Needs an owner's connection.

    A new projection is shown at once. A new version of one that is shown already is built beside it, and shown once it
    has caught up; an older version is made, and waits to be asked for.
    """
    for projection in sorted(projections, key=lambda p: (p.name, p.version)):
        await _install(connection, projection)
    await connection.execute(
        "grant select, insert, update, delete on all tables in schema projection to hallmark_service"
    )


async def _install(connection: Connection, projection: Projection) -> None:
    known = await connection.fetch(
        "select name, version, state from work.projections where projection = $1", projection.name
    )
    tables = [row["name"] for row in known if row["version"] == projection.version]
    if not tables:
        newest = all(row["version"] < projection.version for row in known)
        shown = any(row["state"] == "live" for row in known)
        await _add(connection, projection, "building" if newest or not shown else "kept")
        if not shown:
            await connection.execute("select work.switch_view($1)", projection.table)
    for table in tables or [projection.table]:
        await _index(connection, projection, table)


async def _add(connection: Connection, projection: Projection, state: str) -> None:
    await connection.execute(
        f"""create table if not exists projection.{projection.table}
              (key text primary key, log_index bigint not null, {projection.columns})"""
    )
    if state == "building":  # a build that this one overtakes is given up
        await connection.execute(
            "update work.projections set state = 'kept' where projection = $1 and state in ('building', 'ready')",
            projection.name,
        )
    await connection.execute(
        """insert into work.projections (name, log_index, projection, version, state, switch_when_ready)
           values ($1, -1, $2, $3, $4, $4 = 'building')""",
        projection.table, projection.name, projection.version, state,
    )  # fmt: skip


async def _index(connection: Connection, projection: Projection, table: str) -> None:
    for ending, columns in {"by_log_index": "log_index", **projection.indexes}.items():
        await connection.execute(f"create index if not exists {table}_{ending} on projection.{table} ({columns})")
