"""Evidence packs and log exports: single files that an outsider verifies without access."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry_core.events import RecordedEvent
from registry_core.events.evidence import EvidenceAttached
from registry_core.events.promotions import PromotionApproved
from registry_core.handlers import fold
from registry_core.identity import Account, account_stream
from registry_core.objects import ObjectStorage
from registry_core.problems import Problem
from registry_core.proofs.keys import public_from_base64
from registry_core.proofs.note import Signer
from registry_core.proofs.pack import Header, PackWriter
from registry_core.proofs.tiles import merge_reads, plan_inclusion
from registry_core.store.postgres import EVENT_COLUMNS, Pool, recorded
from registry_core.store.tiles import read_entries

from hallmark_ledger import audit, log

BATCH = 2000
DECIDER = "service:approval"
"""The account under which the keys of decision records are registered."""
Sign = Callable[[], Awaitable[str | None]]
"""Signs a checkpoint over all that is sealed now."""


@dataclass(frozen=True, slots=True)
class Packer:
    """Writes packs of one log."""

    pool: Pool
    objects: ObjectStorage
    signer: Signer
    sign: Sign

    async def write_evidence(self, ref: str, file: BinaryIO, now: datetime) -> None:
        """One version: its events and its promotions', the policies and keys they rest on, evidence and decisions."""
        history = await audit.read_history(self.pool, ref)
        events = sorted([*history.events, *await self._context(history)], key=_index)
        checkpoint = await self._checkpoint_over(_index(events[-1]))
        writer = self._writer("evidence", ref, file, now)
        writer.add_checkpoint(checkpoint.note)
        for event, proof in zip(events, await self._proofs(events, checkpoint.size), strict=True):
            writer.add_event(event, proof)
        await self._add_evidence(writer, history)
        keys = await self._decision_keys()
        for event in history.of(PromotionApproved):
            assert isinstance(event.data, PromotionApproved)
            signer = event.data.envelope["signatures"][0]["keyid"]
            writer.add_decision(event.data.envelope, [keys[signer]])
        writer.finish()

    async def _context(self, history: audit.History) -> list[RecordedEvent]:
        """Policies decided under, and the accounts that reviewed (their persons and public keys)."""
        used = audit.policies_used(history)
        policies = await audit.sealed_events(self.pool, {stream for stream, _ in used})
        names = {DECIDER, *audit.reviewers(history)}
        accounts = await audit.sealed_events(self.pool, [account_stream(name) for name in names])
        return [*(event for event in policies if audit.is_used(event, used)), *accounts]

    async def _decision_keys(self) -> dict[str, Ed25519PublicKey]:
        account = fold(Account(), await audit.sealed_events(self.pool, [account_stream(DECIDER)]))
        return {i: public_from_base64(k.public_key) for i, k in account.signing_keys.items()}

    async def _checkpoint_over(self, log_index: int) -> log.StoredCheckpoint:
        if await log.first_checkpoint_over(self.pool, log_index) is None:
            await self.sign()
        checkpoint = await log.latest_checkpoint(self.pool)
        if checkpoint is None or checkpoint.size <= log_index:
            raise Problem(503, "unavailable", "no checkpoint covers the newest event yet", fix="try again in a second")
        return checkpoint

    async def _proofs(self, events: Sequence[RecordedEvent], size: int) -> list[list[bytes]]:
        plans = [plan_inclusion(_index(event), size) for event in events]
        entries = await read_entries(self.pool, merge_reads(plans))
        return [plan.compute(entries) for plan in plans]

    async def _add_evidence(self, writer: PackWriter, history: audit.History) -> None:
        attached = [event.data for event in history.of(EvidenceAttached)]
        documents = {item.digest: item.media_type for item in attached if isinstance(item, EvidenceAttached)}
        for digest, media_type in documents.items():
            writer.add_blob(await self.objects.get(digest), media_type)

    async def write_export(self, file: BinaryIO, now: datetime) -> None:
        """The whole log up to its newest checkpoint, in flat memory."""
        await self.sign()
        checkpoint = await log.latest_checkpoint(self.pool)
        if checkpoint is None:
            raise Problem(503, "unavailable", "the log is empty or not signed yet", fix="try again in a second")
        writer = self._writer("log", self.signer.name, file, now)
        for first in range(0, checkpoint.size, BATCH):
            for event in await self._read(first, min(first + BATCH, checkpoint.size)):
                writer.add_event(event)
        writer.add_checkpoint(checkpoint.note)
        writer.finish()

    async def _read(self, first: int, stop: int) -> list[RecordedEvent]:
        rows = await self.pool.fetch(
            f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                 where s.log_index >= $1 and s.log_index < $2 order by s.log_index""", first, stop,
        )  # fmt: skip
        return [recorded(row) for row in rows]

    def _writer(self, kind: str, subject: str, file: BinaryIO, now: datetime) -> PackWriter:
        header = Header(
            "evidence" if kind == "evidence" else "log", subject, now, self.signer.name, (self.signer.vkey,)
        )
        return PackWriter(file, header, self.signer)


def _index(event: RecordedEvent) -> int:
    assert event.log_index is not None
    return event.log_index
