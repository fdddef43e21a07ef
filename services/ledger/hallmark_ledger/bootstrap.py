"""Puts the ledger together: sealer, relay, checkpoints and the auditor's answers."""

from registry_core.messaging.relay import Relay
from registry_core.proofs.note import Signer
from registry_core.service import Background, Platform, Service
from registry_core.store.sealer import Sealer

from hallmark_ledger.checkpoints import Checkpointer, FolderWitness
from hallmark_ledger.packs import Packer
from hallmark_ledger.routes import make_routes


def build(platform: Platform) -> Service:
    """The ledger service."""
    settings = platform.settings
    sealer = Sealer(platform.ledger, settings.kafka_partitions)
    signer = Signer(settings.checkpoint_origin, platform.signing_key("ledger"))
    witness = FolderWitness(settings.data_dir / "checkpoints")
    checkpointer = Checkpointer(
        platform.ledger, signer, settings.checkpoint_origin, [witness], settings.checkpoint_seconds
    )
    background: list[Background] = [sealer.run, checkpointer.run]
    if settings.kafka_bootstrap:
        background.append(Relay(platform.pool, settings, platform.notifier).run)
    packer = Packer(platform.pool, platform.objects, signer, checkpointer.sign)
    return Service(name="ledger", routes=make_routes(signer, packer), background=background, on_append=sealer.wake)
