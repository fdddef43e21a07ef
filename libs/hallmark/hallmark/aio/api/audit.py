"""The auditor's questions, and files that prove the answers."""

from pathlib import Path
from typing import Any

from hallmark.aio.session import AsyncSession
from hallmark.meter import Progress
from hallmark.wire import Document, read, segment, write


class Audit(AsyncSession):
    async def audit(self, ref: str) -> Document:
        """Who approved and when, which checks ran, which exceptions held."""
        return await self.ask(read(f"/v1/audit/versions/{segment(ref)}"))

    async def evidence_pack(self, ref: str, path: str | Path, progress: Progress | None = None) -> Path:
        """One version's events with proofs, evidence and decisions, as a file that anyone can verify offline."""
        return await self.save(read(f"/v1/audit/versions/{segment(ref)}/pack"), Path(path), progress)

    async def export_log(self, path: str | Path, progress: Progress | None = None) -> Path:
        """The whole log with its checkpoints, as one file."""
        return await self.save(read("/v1/audit/export"), Path(path), progress)

    async def checkpoint(self) -> str:
        """The newest signed checkpoint: keep it where nobody with access to the server can change it."""
        return str(await self.send(read("/v1/log/checkpoint")))

    async def checkpoints(self, over: int = 0) -> list[str]:
        """Up to 1,000 stored checkpoints of more than `over` events, the smallest first."""
        return list(await self.send(read("/v1/log/checkpoints", over=over)))

    async def log_entries(self, first: int = 0, limit: int = 1000) -> list[Any]:
        """The log as it is stored: `log_index`, `leaf` hash and `record` (None where the event is gone)."""
        return list(await self.send(read("/v1/log/entries", first=first, limit=limit)))

    async def consistency_proof(self, old: int, new: int) -> list[str]:
        """Base64 hashes that prove that the log of `new` events extends that of `old` (RFC 6962)."""
        found = await self.ask(read("/v1/log/proofs/consistency", old=old, new=new))
        return list(found["proof"])

    async def rotate_log_key(self, reason: str = "") -> Document:
        """Have checkpoints signed by a new key, for which the old one vouches."""
        return await self.ask(write("POST", "/v1/log/key/rotation", {"reason": reason}))

    async def log_key(self) -> Document:
        """`origin`, `vkey` in force, all `keys` and their `handovers`, as the server states them itself."""
        return await self.ask(read("/v1/log/key"))

    async def log_events(self, first: int = 0, limit: int = 100) -> list[Any]:
        """Sealed events from a log index on."""
        return list(await self.send(read("/v1/log/events", first=first, limit=limit)))
