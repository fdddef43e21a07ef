"""The lifecycle service, put together."""

from registry_core.inbox import COUNT_INFERENCE
from registry_core.service import Platform, Service

from hallmark_lifecycle.adapters.manifests import ManifestFolder
from hallmark_lifecycle.adapters.pseudonyms import KEY_NAME, pseudonyms
from hallmark_lifecycle.deliveries import counting
from hallmark_lifecycle.handlers import HANDLERS, PROVISION, provisioning
from hallmark_lifecycle.projections import DDL, DUE, SERVED
from hallmark_lifecycle.routes import Routes
from hallmark_lifecycle.serving import InferenceLog
from hallmark_lifecycle.sweeper import Scheduler, Sweeper


def build(platform: Platform) -> Service:
    """States, clocks, provisioning, admission and served windows."""
    settings = platform.settings
    earlier = pseudonyms(platform.signing_key(KEY_NAME))
    inferences = InferenceLog(platform)
    sweeper = Sweeper(platform)
    target = ManifestFolder(settings.provision_dir or settings.data_dir / "deployments")
    return Service(
        name="lifecycle",
        routes=Routes(sweeper, earlier).handlers(),
        handlers=HANDLERS,
        jobs={PROVISION: provisioning(target), COUNT_INFERENCE: counting(platform.pool, inferences)},
        inbound={"serving.inference": inferences.accept},
        projections=(DUE, SERVED),
        background=(Scheduler(platform, sweeper, inferences.prune).run, platform.vault.claim),
        ddl=DDL,
    )
