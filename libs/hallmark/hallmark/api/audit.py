# Made from aio/api/audit.py by `make sdk`: change it there.
"""The auditor's questions, and files that prove the answers."""

from pathlib import Path
from typing import Any

from hallmark.meter import Progress
from hallmark.session import Session
from hallmark.wire import Document, read, segment, write


class Audit(Session):
    def audit(self, ref: str) -> Document:
        """Who approved and when, which checks ran, which exceptions held."""
        return self.ask(read(f"/v1/audit/versions/{segment(ref)}"))

    def evidence_pack(self, ref: str, path: str | Path, progress: Progress | None = None) -> Path:
        """One version's events with proofs, evidence and decisions, as a file that anyone can verify offline."""
        return self.save(read(f"/v1/audit/versions/{segment(ref)}/pack"), Path(path), progress)

    def export_log(self, path: str | Path, progress: Progress | None = None) -> Path:
        """The whole log with its checkpoints, as one file."""
        return self.save(read("/v1/audit/export"), Path(path), progress)

    def checkpoint(self) -> str:
        """The newest signed checkpoint: keep it where nobody with access to the server can change it."""
        return str(self.send(read("/v1/log/checkpoint")))

    def checkpoints(self, over: int = 0) -> list[str]:
        """Up to 1,000 stored checkpoints of more than `over` events, the smallest first."""
        return list(self.send(read("/v1/log/checkpoints", over=over)))

    def log_entries(self, first: int = 0, limit: int = 1000) -> list[Any]:
        """The log as it is stored: `log_index`, `leaf` hash and `record` (None where the event is gone)."""
        return list(self.send(read("/v1/log/entries", first=first, limit=limit)))

    def consistency_proof(self, old: int, new: int) -> list[str]:
        """Base64 hashes that prove that the log of `new` events extends that of `old` (RFC 6962)."""
        found = self.ask(read("/v1/log/proofs/consistency", old=old, new=new))
        return list(found["proof"])

    def rotate_log_key(self, reason: str = "") -> Document:
        """Have checkpoints signed by a new key, for which the old one vouches."""
        return self.ask(write("POST", "/v1/log/key/rotation", {"reason": reason}))

    def log_key(self) -> Document:
        """`origin`, `vkey` in force, all `keys` and their `handovers`, as the server states them itself."""
        return self.ask(read("/v1/log/key"))

    def log_events(self, first: int = 0, limit: int = 100) -> list[Any]:
        """Sealed events from a log index on."""
        return list(self.send(read("/v1/log/events", first=first, limit=limit)))
