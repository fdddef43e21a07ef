"""Views, their projections, and dead letters."""

from collections.abc import Mapping
from typing import Any

from hallmark.aio.session import AsyncSession
from hallmark.wire import Document, read, segment, write


class Operations(AsyncSession):
    async def views(
        self,
        name: str | None = None,
        filters: Mapping[str, str] | None = None,
        at_least: int | None = None,
        *,
        limit: int | None = None,
        after: int | None = None,
    ) -> Document:
        """One page of a view's rows, those that match all filters; without a name, the views there are.

        With `at_least` (a write's `log_index`) the rows contain what that write brought about.
        """
        where = f"/v1/views/{segment(name)}" if name else "/v1/views"
        return await self.ask(read(where, **{**(filters or {}), "at_least": at_least, "limit": limit, "after": after}))

    async def projections(self, name: str | None = None) -> list[Any]:
        """The tables of one projection or of all: version, state (`live` is what the view shows), lag in events."""
        where = f"/v1/projections/{segment(name)}" if name else "/v1/projections"
        found = await self.ask(read(where))
        return list(found["projections"])

    async def rebuild_projection(self, name: str, *, switch: bool = False) -> Document:
        """Build it anew beside the table that its view goes on showing; with `switch`, show it once it has caught up.

        Answers at once with the new table; `projections` tells how far it is.
        """
        return await self.ask(write("POST", f"/v1/projections/{segment(name)}/rebuild", {"switch": switch}))

    async def switch_projection(self, name: str, table: str | None = None) -> Document:
        """Show another table once it has caught up: by default the one rebuilt, else the one shown before."""
        return await self.ask(write("POST", f"/v1/projections/{segment(name)}/switch", {"table": table}))

    async def drop_projection_table(self, name: str, table: str) -> Document:
        """Remove a table that the view does not show; a build of it ends."""
        return await self.ask(write("DELETE", f"/v1/projections/{segment(name)}/tables/{segment(table)}"))

    async def dead_letters(self, state: str | None = None, limit: int | None = None) -> list[Any]:
        """What could not be handled, newest first. `state`: open, replaying or replayed; None for all."""
        return list(await self.send(read("/v1/dead-letters", state=state, limit=limit)))

    async def dead_letter(self, letter: int) -> Document:
        return await self.ask(read(f"/v1/dead-letters/{letter}"))

    async def replay_dead_letter(self, letter: int) -> Document:
        """Its consumer handles it again within a second or two; if it fails again, it is open again."""
        return await self.ask(write("POST", f"/v1/dead-letters/{letter}/replay"))
