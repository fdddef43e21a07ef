"""Writes exports as the ledger does, with a key of the benchmark's own."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import KeyFolder
from hallmark_ledger.packs import Packer
from hallmark_ledger.witnessing import Witnesses
from registry_core.objects import ObjectStorage
from registry_core.proofs.note import Signer
from registry_core.settings import Settings

from bench.place import Database, ledger_pool_of

ORIGIN = "bench.hallmark.local/log"


async def export(database: Database, path: Path) -> Signer:
    """The whole log of a database as one file; the signer whose `vkey` verifies it."""
    keys = _same_key_each_run(path.parent / "keys")
    async with ledger_pool_of(database) as pool:
        checkpointer = Checkpointer(pool, keys, 1, Witnesses([]))
        packer = Packer(pool, ObjectStorage.open(Settings(data_dir=path.parent)), checkpointer)
        with path.open("wb") as file:
            await packer.write_export(file, datetime.now(UTC))
        return (await checkpointer.keys()).current


def _same_key_each_run(folder: Path) -> KeyFolder:
    """A filled database is kept, and its checkpoints are signed already."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    path = folder / "ledger.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return KeyFolder(folder, ORIGIN)
