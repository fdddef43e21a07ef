"""Events in, events out: keeps assets' streams, and tells dependants of what changed."""

from collections.abc import Sequence

from registry_core.events import RecordedEvent
from registry_core.events.versions import DependantAdded, VersionAdded, VersionRegistered
from registry_core.handlers import Effect, Emit, Reader, load
from registry_core.values import asset_stream

from hallmark_ingestion.domain import Asset, changed_dependencies, distinct


async def list_on_assets(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A registered version joins its asset, and becomes a dependant of what it was made of."""
    data = event.data
    assert isinstance(data, VersionRegistered)
    joined: list[Effect] = [Emit(asset_stream(data.ref), [VersionAdded(ref=data.ref, digest=data.digest)])]
    return joined + [
        Emit(asset_stream(dependency), [DependantAdded(dependant=data.ref, depends_on=dependency)])
        for dependency in distinct(data.metadata.depends_on)
    ]


async def flag_dependants(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A newer version of a prompt, adapter, dataset or base model: whoever uses an older one hears of it."""
    data = event.data
    assert isinstance(data, VersionAdded)
    asset = await load(reader, Asset(), event.stream)
    return [Emit(changed.ref, [changed]) for changed in changed_dependencies(asset, data)]
