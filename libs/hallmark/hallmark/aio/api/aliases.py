"""Aliases: names such as `champion` that point to one version of an asset."""

from collections.abc import Sequence
from datetime import datetime

from hallmark.aio.session import AsyncSession
from hallmark.wire import Call, Document, read, segment, write

_PROTECTED = "/v1/protected-aliases"


class Aliases(AsyncSession):
    async def aliases(self, asset: str, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Document:
        """Every alias of an asset (`kind:name`) with its version and that one's state. Times as for `version`."""
        return await self.ask(read(_path(asset), as_of=as_of, known_at=known_at))

    async def alias(
        self, asset: str, alias: str, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Document:
        """Where the alias points, and every move of it with before and after."""
        return await self.ask(read(_path(asset, alias), as_of=as_of, known_at=known_at))

    async def set_alias(
        self, asset: str, alias: str, ref: str, reason: str, *, if_match: int | None = None
    ) -> Document:
        """Have the alias point to a version. `if_match`: only if the asset's aliases are at this `stream_version`."""
        call = write("PUT", _path(asset, alias), {"ref": ref, "reason": reason})
        return await self.ask(_matching(call, if_match))

    async def remove_alias(self, asset: str, alias: str, reason: str, *, if_match: int | None = None) -> Document:
        """Have the alias point to nothing; its history stays."""
        return await self.ask(_matching(write("DELETE", _path(asset, alias), reason=reason), if_match))

    async def protected_aliases(self) -> Document:
        """The aliases, of every asset, that managers alone move, and to approved versions alone."""
        return await self.ask(read(_PROTECTED))

    async def protect_aliases(self, names: Sequence[str], reason: str) -> Document:
        """Say which aliases those are; all others are free."""
        return await self.ask(write("PUT", _PROTECTED, {"names": list(names), "reason": reason}))


def _path(asset: str, *alias: str) -> str:
    return "/".join(["/v1/assets", segment(asset), "aliases", *map(segment, alias)])


def _matching(call: Call, version: int | None) -> Call:
    if version is None:
        return call
    headers = {**call.headers, "If-Match": str(version)}
    return Call(method=call.method, path=call.path, params=call.params, headers=headers, content=call.content)
