"""Projections over HTTP, for administrators: their tables, rebuilt, switched to, dropped."""

from dataclasses import asdict
from typing import Any

import structlog
from litestar import delete, get, post
from pydantic import BaseModel, ConfigDict
from registry_core.http.caller import Caller
from registry_core.projections import commands
from registry_core.projections.commands import TableState
from registry_core.service import Platform

log = structlog.get_logger()


class Rebuild(BaseModel):
    """Whether the view is switched to the new table once it has caught up, or waits to be told."""

    model_config = ConfigDict(extra="forbid")

    switch: bool = False


class Switch(BaseModel):
    """Which table to show; None: the one that is ready or being built, else the one shown before."""

    model_config = ConfigDict(extra="forbid")

    table: str | None = None


def _document(table: TableState) -> dict[str, Any]:
    return {**asdict(table), "lag": table.lag}


def _told(caller: Caller, what: str, table: TableState) -> dict[str, Any]:
    log.info("projection asked for", what=what, by=caller.name, projection=table.name, table=table.table)
    return _document(table)


@get("/v1/projections", action="projections")
async def list_projections(platform: Platform) -> dict[str, Any]:
    """Every table of every projection: version, state, and how far it is behind the log."""
    return {"projections": [_document(table) for table in await commands.list_tables(platform.pool)]}


@get("/v1/projections/{projection:str}", action="projections")
async def show_projection(projection: str, platform: Platform) -> dict[str, Any]:
    """The tables of one projection, the live one first."""
    return {"projections": [_document(table) for table in await commands.list_tables(platform.pool, projection)]}


@post("/v1/projections/{projection:str}/rebuild", action="projections", status_code=202)
async def rebuild(projection: str, data: Rebuild, platform: Platform, caller: Caller) -> dict[str, Any]:
    """Build the live table's version anew, beside it: the new table."""
    table = await commands.rebuild(platform.pool, projection, switch=data.switch, request=caller.seed)
    return _told(caller, "rebuild", table)


@post("/v1/projections/{projection:str}/switch", action="projections", status_code=202)
async def switch(projection: str, data: Switch, platform: Platform, caller: Caller) -> dict[str, Any]:
    """Have the view show another table as soon as that has caught up: the table."""
    return _told(caller, "switch", await commands.switch(platform.pool, projection, data.table, caller.seed))


@delete("/v1/projections/{projection:str}/tables/{table:str}", action="projections", status_code=200)
async def drop(projection: str, table: str, platform: Platform, caller: Caller) -> dict[str, Any]:
    """Remove a table that the view does not show; a build of it ends. What it was."""
    return _told(caller, "drop", await commands.drop(platform.pool, projection, table))


ROUTES = [list_projections, show_projection, rebuild, switch, drop]
