"""Puts the ledger together: sealer, relay, checkpoints, witnesses and the auditor's answers."""

from registry_core.messaging.relay import Relay
from registry_core.service import Background, Platform, Service
from registry_core.store.sealer import Sealer
from registry_core.witnesses import open_witnesses

from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import KeyFolder
from hallmark_ledger.packs import Packer
from hallmark_ledger.routes import make_routes
from hallmark_ledger.witnessing import Delivery, Witnesses


def build(platform: Platform) -> Service:
    """The ledger service."""
    settings, pool = platform.settings, platform.ledger
    deliveries = [Delivery(platform, witness) for witness in open_witnesses(settings)]
    witnesses = Witnesses(deliveries)
    sealer = Sealer(pool, settings.kafka_partitions, witnesses.agree)
    keys = KeyFolder(settings.data_dir / "keys", settings.checkpoint_origin)
    checkpointer = Checkpointer(pool, keys, settings.checkpoint_seconds, witnesses)
    background: list[Background] = [sealer.run, checkpointer.run, *(delivery.run for delivery in deliveries)]
    if settings.kafka_bootstrap:
        background.append(Relay(platform.pool, settings, platform.notifier).run)
    packer = Packer(platform.pool, platform.objects, checkpointer)
    return Service(
        name="ledger", routes=make_routes(checkpointer, packer), background=background, on_append=sealer.wake
    )
