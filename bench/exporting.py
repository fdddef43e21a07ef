"""Writes exports as the ledger does, with a key of the benchmark's own."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.packs import Packer
from registry_core.objects import ObjectStorage
from registry_core.proofs.note import Signer
from registry_core.settings import Settings

from bench.place import Database, ledger_pool_of

ORIGIN = "bench.hallmark.local/log"


async def export(database: Database, path: Path) -> Signer:
    """The whole log of a database as one file; the signer whose `vkey` verifies it."""
    signer = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    async with ledger_pool_of(database) as pool:
        checkpointer = Checkpointer(pool, signer, ORIGIN, [], seconds=1)
        packer = Packer(pool, ObjectStorage.open(Settings(data_dir=path.parent)), signer, checkpointer.sign)
        with path.open("wb") as file:
            await packer.write_export(file, datetime.now(UTC))
    return signer
