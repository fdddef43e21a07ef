"""Dependants hear of newer versions, in whatever order what happened is handled."""

from collections.abc import Sequence
from random import Random
from typing import Any

from hallmark_ingestion.bootstrap import build
from hallmark_ingestion.domain import RegisterVersion, register
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import RecordedEvent, decode
from registry_core.events.versions import DependencyChanged
from registry_core.handlers import Cause, Emit, Handlers, as_append
from registry_core.store.memory import MemoryEventStore
from registry_core.values import Metadata
from registry_core.version import Version
from support import NOW, MemoryReader, record

DIGEST = "sha256:" + "0" * 64


def handlers() -> Handlers:
    return build(Any).handlers  # its handlers need no platform


async def registered(store: MemoryEventStore, ref: str, *depends_on: str) -> None:
    command = RegisterVersion(ref=ref, digest=DIGEST, metadata=Metadata(depends_on=depends_on))
    await record(store, ref, *register(Version(), command, "alice"))


async def handle(store: MemoryEventStore, event: RecordedEvent) -> None:
    handler = handlers().get(type(decode(event.type, event.body or b"")))
    effects = await handler(event, MemoryReader(store)) if handler else []
    for n, effect in enumerate(effects):
        assert isinstance(effect, Emit)
        await store.append(as_append(effect, Cause.of(event), by="ingestion", ordinal=n, now=NOW, traceparent=None))


async def handle_all(store: MemoryEventStore, random: Random) -> None:
    """Streams in any order relative to each other; each stream in its own."""
    done: dict[str, int] = {}
    while waiting := [e for e in store.log if e.version == done.get(e.stream, -1) + 1]:
        event = random.choice(waiting)
        await handle(store, event)
        done[event.stream] = event.version


def flags(store: MemoryEventStore) -> list[tuple[str, str]]:
    found = [event.data for event in store.log if event.type == DependencyChanged.type]
    return sorted((data.ref, data.newer) for data in found if isinstance(data, DependencyChanged))


PROMPTS = [f"prompt:p@1.{n}.0" for n in range(4)]
HISTORIES = st.permutations([*PROMPTS, "model:a@1.0.0", "model:b@1.0.0"])


@given(history=HISTORIES, uses=st.tuples(*[st.sampled_from(PROMPTS)] * 2), random=st.randoms(use_true_random=False))
async def test_each_dependant_hears_once_of_each_newer_version_that_came_after_it(
    history: Sequence[str], uses: tuple[str, str], random: Random
) -> None:
    store, used = MemoryEventStore(), dict(zip(("model:a@1.0.0", "model:b@1.0.0"), uses, strict=True))
    for ref in history:
        await registered(store, ref, *[used[ref]] if ref in used else [])
    await handle_all(store, random)
    assert flags(store) == sorted(
        (ref, prompt)
        for ref, dependency in used.items()
        for prompt in PROMPTS
        if prompt > dependency and history.index(prompt) > history.index(ref)
    )
