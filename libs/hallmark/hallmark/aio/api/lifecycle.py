"""After approval: admission, states, advisories, serving."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hallmark.aio.session import AsyncSession
from hallmark.wire import Document, present, read, version_path, write


class Lifecycle(AsyncSession):
    async def admission(
        self,
        ref: str,
        *,
        environment: str,
        business_function: str,
        data_class: str | None = None,
        region: str | None = None,
        at: datetime | None = None,
        new_use: bool | None = None,
    ) -> Document:
        """May the version serve there, for that, then? `allowed`, and `reasons` where it is False."""
        return await self.ask(
            read(
                "/v1/admission", ref=ref, environment=environment, business_function=business_function,
                data_class=data_class, region=region, at=_iso(at), new_use=new_use,
            )
        )  # fmt: skip

    async def deprecate(self, ref: str, cause: str, replacement: str | None = None) -> Document:
        """New use is refused from now on; what serves goes on."""
        return await self._change(ref, "deprecate", cause=cause, replacement=replacement)

    async def retire(self, ref: str, cause: str) -> Document:
        """No serving any more, for ever."""
        return await self._change(ref, "retire", cause=cause)

    async def suspend(self, ref: str, cause: str) -> Document:
        """The emergency stop."""
        return await self._change(ref, "suspend", cause=cause)

    async def reinstate(self, ref: str, cause: str) -> Document:
        """End a suspension."""
        return await self._change(ref, "reinstate", cause=cause)

    async def _change(self, ref: str, command: str, **body: str | None) -> Document:
        return await self.ask(write("POST", version_path(ref, command), present(**body)))

    async def publish_advisory(self, advisory: Mapping[str, Any]) -> Document:
        """An advisory in OSV format; every version is held against it."""
        return await self.ask(write("POST", "/v1/advisories", dict(advisory)))

    async def sweep(self, as_of: datetime | None = None) -> Document:
        """Run the scheduler now; as of a future time only where the server's clock may be moved."""
        return await self.ask(write("POST", "/v1/sweeps", present(as_of=_iso(as_of))))

    async def served(self, customer: str, at: datetime, at_least: int | None = None) -> Document:
        """Which version served the customer in the minute of a time, and what its state was then.

        With `at_least` (a write's `log_index`) the answer contains what that write brought about.
        """
        return await self.ask(read("/v1/served", customer=customer, at=_iso(at), at_least=at_least))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
