"""HTTP of the ledger: the log, its proofs and the auditor's answers."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

from litestar import MediaType, get, post
from litestar.params import Parameter
from litestar.response import Stream
from registry_core.http.authorisation import IN_PATH
from registry_core.http.caller import Caller
from registry_core.problems import invalid, not_found
from registry_core.proofs.canonical import to_base64
from registry_core.proofs.envelope import to_record
from registry_core.proofs.merkle import ProofError
from registry_core.service import Platform
from registry_core.values import Value

from hallmark_ledger import audit, log
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import LogKey
from hallmark_ledger.packs import Packer


@dataclass(frozen=True, slots=True)
class LogKeys:
    origin: str
    vkey: str
    """The one in force."""
    keys: list[LogKey]
    """Every one there was, the oldest first, with the sizes of the checkpoints that it signs."""
    handovers: list[str]
    """Signed notes in which each key vouches for the next."""


class Rotation(Value):
    reason: str = ""


JSON_LINES = "application/jsonl"
Limit = Annotated[int, Parameter(ge=1, le=1000)]


@get("/v1/log/events", action="audit")
async def read_events(platform: Platform, first: int = 0, limit: Limit = 100) -> list[dict[str, Any]]:
    """Sealed events from log index `first` on, as in exports."""
    return [to_record(event) for event in await platform.store.read_log(first, limit)]


@get("/v1/log/checkpoint", action="audit", media_type=MediaType.TEXT)
async def read_checkpoint(platform: Platform) -> str:
    """The newest signed checkpoint (C2SP tlog-checkpoint), with the cosignatures that witnesses gave it so far."""
    found = await log.latest_checkpoint(platform.pool, platform.settings.checkpoint_origin)
    if found is None:
        raise not_found("a checkpoint", "the ledger signs the first a few seconds after the first event; try again")
    return found.cosigned


async def _size(platform: Platform, asked: int | None) -> int:
    """The size that was asked for, by default the log's. Raises Problem for one beyond it."""
    most = await log.log_size(platform.pool)
    if asked is not None and asked > most:
        raise invalid(f"the log has {most} events, not {asked}", "ask for a size up to the log's")
    return most if asked is None else asked


@get("/v1/audit/versions/{ref:str}", action="audit", asset=IN_PATH)
async def answer_about(ref: str, platform: Platform) -> dict[str, Any]:
    """Who approved and when, which checks ran, which exceptions held, what served whom; each with its log index."""
    return await audit.answer(platform.pool, ref)


@get("/v1/log/checkpoints", action="audit")
async def read_checkpoints(platform: Platform, over: int = 0) -> list[str]:
    """Up to 1,000 signed checkpoints of more than `over` events, the smallest first."""
    found = await log.checkpoints_over(platform.pool, platform.settings.checkpoint_origin, over)
    return [checkpoint.cosigned for checkpoint in found]


@get("/v1/log/entries", action="audit")
async def read_entries(platform: Platform, first: int = 0, limit: Limit = 1000) -> list[dict[str, Any]]:
    """The log as it is stored: each place with its leaf hash (base64), and the event's record where there is one."""
    return [
        {"log_index": row.log_index, "leaf": to_base64(row.leaf), "record": row.record}
        for row in await log.stored_entries(platform.pool, first, limit)
    ]


def make_routes(checkpointer: Checkpointer, packer: Packer) -> list[Any]:
    """All of them, around the keys that sign and the tree that proves."""

    @get("/v1/log/key", public=True, security=[{}])
    async def read_key() -> LogKeys:
        """The verifier keys of the log's checkpoints (C2SP signed-note). Compare them with a copy of your own."""
        keys = await checkpointer.keys()
        return LogKeys(keys.current.name, keys.current.vkey, keys.history, keys.handovers)

    @post("/v1/log/key/rotation", action="identity")
    async def rotate_key(caller: Caller, data: Rotation) -> dict[str, Any]:
        """Sign checkpoints with a new key from here on; the old key vouches for it."""
        written = await checkpointer.rotate(caller, data.reason)
        return {"vkey": (await checkpointer.keys()).current.vkey, "log_index": written.log_index}

    @get("/v1/log/proofs/inclusion", action="audit")
    async def prove_inclusion(platform: Platform, log_index: int, size: int | None = None) -> dict[str, Any]:
        """That the event with this log index is in the log of `size` events (default: all of it)."""
        size = await _size(platform, size)
        try:
            proof = await log.inclusion_proof(packer.tree, log_index, size)
        except ProofError as error:
            raise invalid(str(error), "ask for an index below the size") from error
        return {"log_index": log_index, "size": size, "proof": [to_base64(item) for item in proof]}

    @get("/v1/log/proofs/consistency", action="audit")
    async def prove_consistency(platform: Platform, old: int, new: int | None = None) -> dict[str, Any]:
        """That the log of `new` events extends the log of `old` events."""
        size = await _size(platform, new)
        try:
            proof = await log.consistency_proof(packer.tree, old, size)
        except ProofError as error:
            raise invalid(str(error), "ask for sizes with old <= new") from error
        return {"old": old, "new": size, "proof": [to_base64(item) for item in proof]}

    @get("/v1/audit/versions/{ref:str}/pack", action="audit", asset=IN_PATH, media_type=JSON_LINES)
    async def evidence_pack(ref: str, platform: Platform) -> Stream:
        """Everything about one version in one file that anyone verifies offline: `hallmark audit verify`."""
        return await _file(lambda file: packer.write_evidence(ref, file, platform.clock()), "evidence.hallmark")

    @get("/v1/audit/export", action="audit", media_type=JSON_LINES)
    async def export_log(platform: Platform) -> Stream:
        """The whole log in one file that anyone verifies offline."""
        return await _file(lambda file: packer.write_export(file, platform.clock()), "log.hallmark")

    return [
        read_events,
        read_checkpoint,
        read_checkpoints,
        read_entries,
        prove_inclusion,
        prove_consistency,
        answer_about,
        read_key,
        rotate_key,
        evidence_pack,
        export_log,
    ]


async def _file(write: Callable[[BinaryIO], Awaitable[None]], name: str) -> Stream:
    """Written whole to disk first: a failure in the middle is an error, never half a file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the answer has been sent
    try:
        await write(file)
    except BaseException:
        file.close()
        raise
    headers = {"content-disposition": f'attachment; filename="{name}"', "content-length": str(file.tell())}
    file.seek(0)
    return Stream(_chunks(file), media_type=JSON_LINES, headers=headers)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, 1 << 20):
            yield chunk
