"""Evidence packs and log exports: single files that an outsider verifies without access."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
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
from registry_core.proofs.dsse import key_names
from registry_core.proofs.keys import public_from_base64
from registry_core.proofs.pack import Header, Kind, PackWriter
from registry_core.proofs.pack.signatures import DECIDER
from registry_core.proofs.tiles import plan_inclusion
from registry_core.store.connections import Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.store.tiles import StoredTree

from hallmark_ledger import audit, log
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import vkeys

BATCH = 2000


@dataclass(slots=True)
class Packer:
    """Writes packs of one log."""

    pool: Pool
    objects: ObjectStorage
    checkpointer: Checkpointer
    tree: StoredTree = field(init=False)

    def __post_init__(self) -> None:
        self.tree = StoredTree(self.pool)

    async def write_evidence(self, ref: str, file: BinaryIO, now: datetime) -> None:
        """One version: its events and its promotions', the policies and keys they rest on, evidence and decisions."""
        history = await audit.read_history(self.pool, ref)
        events = sorted([*history.events, *await self._context(history)], key=_index)
        checkpoint = await self._checkpoint_over(_index(events[-1]))
        writer = await self._writer("evidence", ref, file, now)
        writer.add_checkpoint(checkpoint.cosigned)
        for event, proof in zip(events, await self._proofs(events, checkpoint.size), strict=True):
            writer.add_event(event, proof)
        await self._add_evidence(writer, history)
        keys = await self._decision_keys()
        for event in history.of(PromotionApproved):
            assert isinstance(event.data, PromotionApproved)
            if signed_with := [keys[name] for name in key_names(event.data.envelope) if name in keys]:
                writer.add_decision(event.data.envelope, signed_with)  # any other is told of by whoever verifies
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
        origin = self.checkpointer.origin
        checkpoint = await log.checkpoint_over(self.pool, origin, log_index)
        if checkpoint is None:
            await self.checkpointer.sign()
            checkpoint = await log.checkpoint_over(self.pool, origin, log_index)
        if checkpoint is None:
            raise Problem(503, "unavailable", "no checkpoint covers the newest event yet", fix="try again in a second")
        return checkpoint

    async def _proofs(self, events: Sequence[RecordedEvent], size: int) -> list[list[bytes]]:
        return await self.tree.compute(*[plan_inclusion(_index(event), size) for event in events])

    async def _add_evidence(self, writer: PackWriter, history: audit.History) -> None:
        attached = [event.data for event in history.of(EvidenceAttached)]
        documents = {item.digest: item.media_type for item in attached if isinstance(item, EvidenceAttached)}
        for digest, media_type in documents.items():
            writer.add_blob(await self.objects.get(digest), media_type)

    async def write_export(self, file: BinaryIO, now: datetime) -> None:
        """The whole log up to its newest checkpoint, with all that were signed on the way, in flat memory."""
        await self.checkpointer.sign()
        checkpoint = await log.latest_checkpoint(self.pool, self.checkpointer.origin)
        if checkpoint is None:
            raise Problem(503, "unavailable", "the log is empty or not signed yet", fix="try again in a second")
        writer = await self._writer("log", None, file, now)
        first = 0
        async for signed in self._checkpoints(checkpoint.size):
            for start in range(first, signed.size, BATCH):
                for event in await self._read(start, min(start + BATCH, signed.size)):
                    writer.add_event(event)
            writer.add_checkpoint(signed.cosigned)
            first = signed.size
        writer.finish()

    async def _checkpoints(self, last: int) -> AsyncIterator[log.StoredCheckpoint]:
        """Each one up to this size: the more there are, the nearer a change can be placed."""
        size = 0
        while size < last:
            for checkpoint in await log.checkpoints_over(self.pool, self.checkpointer.origin, size):
                if checkpoint.size <= last:
                    yield checkpoint
                size = checkpoint.size

    async def _read(self, first: int, stop: int) -> list[RecordedEvent]:
        rows = await self.pool.fetch(
            f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                 where s.log_index >= $1 and s.log_index < $2 order by s.log_index""", first, stop,
        )  # fmt: skip
        return [recorded(row) for row in rows]

    async def _writer(self, kind: Kind, subject: str | None, file: BinaryIO, now: datetime) -> PackWriter:
        keys = await self.checkpointer.keys()
        signer = keys.current
        header = Header(kind, subject or signer.name, now, signer.name, vkeys(keys.history))
        writer = PackWriter(file, header, signer)
        for handover in keys.handovers:
            writer.add_handover(handover)
        return writer


def _index(event: RecordedEvent) -> int:
    assert event.log_index is not None
    return event.log_index
