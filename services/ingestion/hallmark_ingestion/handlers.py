"""Events in, events out: keeps assets' streams, and tells dependants of what changed."""

from collections.abc import Sequence

from registry_core.events import RecordedEvent, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.versions import DependantAdded, VersionAdded, VersionRegistered
from registry_core.handlers import Effect, Emit, Reader, fold
from registry_core.values import asset_stream

from hallmark_ingestion.domain import Asset, changed_dependencies


async def list_on_assets(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A registered version joins its asset, and becomes a dependant of what it was made of.

    It joins as of its registration, so that who came first can be told however late this is handled.
    """
    data = event.data
    assert isinstance(data, VersionRegistered)
    joins = [
        (asset_stream(data.ref), VersionAdded(ref=data.ref, digest=data.digest)),
        *(
            (asset_stream(dependency), DependantAdded(dependant=data.ref, depends_on=dependency))
            for dependency in data.metadata.dependencies
        ),
    ]
    return [Emit(stream, [joined], occurred_at=event.recorded_at) for stream, joined in joins]


async def flag_dependants(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A newer version of a prompt, adapter, dataset or base model: whoever uses an older one hears of it.

    Asked anew when a version and when a dependant joins, for either may be handled first; said once. Only the other
    kind is read: an asset that nothing depends on may have thousands of versions. Of two that join at once the later
    one finds the earlier.
    """
    others = DependantAdded if isinstance(event.data, VersionAdded) else VersionAdded
    asset = fold(Asset(), [*await reader.read_only(event.stream, others), event])
    return [
        Emit(changed.ref, [changed], ids=[derived_id(NAMESPACE, "changed", changed.ref, changed.newer)])
        for changed in changed_dependencies(asset, event.data)
    ]
