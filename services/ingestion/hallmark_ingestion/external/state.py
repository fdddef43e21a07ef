"""What is known of an object of an outer system, and how it differs from what is found there. Pure.

A state is what there is by thing (`model` or `repository`, and `version 3`), and of each thing its facts by part. An
aspect names a thing that came or went, or `<thing> <part>`, where the object's own parts stand alone: `description`,
`alias champion`, `version 3 stage`.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import JsonValue
from registry_core.events import Event, RecordedEvent
from registry_core.events.sources import (
    Difference,
    ExternalChangeAnnounced,
    ExternalDriftDetected,
    ExternalObjectObserved,
    ExternalVersionImported,
)
from registry_core.values import parse_ref, storable

State = Mapping[str, Mapping[str, JsonValue]]

ROOTS: Final = ("model", "repository")
"""What the object itself is called."""
RENAMED: Final = "name"
LONGEST_TEXT: Final = 2000
"""Characters of a fact that are kept; a longer one is told by its digest, so that a change of it is still seen."""
LONGEST_PART: Final = 300
MOST_OF_A_THING: Final = 48 * 1024
"""Bytes of one thing's facts: a difference holds them twice, and an event has 256 KiB."""
MOST_OF_AN_EVENT: Final = 192 * 1024
_VERSION: Final = re.compile(r"(version \S+)(?: (.+))?", re.DOTALL)


def fact(value: Any, longest: int = LONGEST_TEXT) -> JsonValue:
    """A value that an event can hold, the same for the same value: long or unstorable texts by their digest."""
    if not isinstance(value, str) or (len(value) <= longest and storable(value)):
        return value  # type: ignore[no-any-return]  # numbers, booleans and short texts, as JSON gave them
    raw = value.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(raw).hexdigest()} of {len(value)} characters"


def part(name: str) -> str:
    """The name of a fact, as an aspect can hold it."""
    return str(fact(name, LONGEST_PART))


def bounded(facts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The facts of one thing, as an event can hold them: where they are too many, long ones go, and then the rest."""
    kept = dict(facts)
    if _size(kept) > MOST_OF_A_THING:
        kept = {name: fact(value, 80) for name, value in kept.items()}
    if _size(kept) > MOST_OF_A_THING:
        names = sorted(kept)
        rest = json.dumps([[name, kept[name]] for name in names[100:]]).encode()
        more = f"sha256:{hashlib.sha256(rest).hexdigest()} of {len(names) - 100} more"
        kept = {name: kept[name] for name in names[:100]} | {"and more": more}
    return kept


def _size(value: Any) -> int:
    return len(json.dumps(value))


@dataclass(frozen=True, slots=True)
class External:
    """State of one `external:<source>:<object>` stream."""

    version: int = -1
    seen: bool = False
    state: State = field(default_factory=dict)
    imports: Mapping[str, ExternalVersionImported] = field(default_factory=dict)
    """By the source's version, in the order in which they were imported."""

    def evolve(self, event: RecordedEvent) -> "External":
        return replace(self._after(event.data), version=event.version)

    def _after(self, data: Event) -> "External":
        match data:
            case ExternalObjectObserved(state=state):
                return replace(self, seen=True, state={**self.state, **_things(state)})
            case ExternalChangeAnnounced(differences=found):
                return replace(self, state=applied(self.state, found))
            case ExternalDriftDetected(difference=found):
                return replace(self, state=applied(self.state, [found]))
            case ExternalVersionImported():
                return replace(self, imports={**self.imports, data.version: data})
            case _:
                return self


def _things(state: Mapping[str, JsonValue]) -> State:
    return {thing: facts for thing, facts in state.items() if isinstance(facts, dict)}


def differences(before: State, after: State) -> list[Difference]:
    """What has to change for `before` to become `after`: a thing that came or went as a whole, else part by part."""
    for root in ROOTS:
        if root in before and root not in after:
            return [Difference(aspect=root, before=dict(before[root]))]
    things = sorted(before.keys() | after.keys(), key=_in_order)
    return [found for thing in things for found in _of(thing, before.get(thing), after.get(thing))]


def _of(thing: str, old: Mapping[str, JsonValue] | None, new: Mapping[str, JsonValue] | None) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference(aspect=thing, before=old and dict(old), after=new and dict(new))
        return
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            aspect = name if thing in ROOTS else f"{thing} {name}"
            yield Difference(aspect=aspect, before=old.get(name), after=new.get(name))


def _in_order(thing: str) -> tuple[int, int, str]:
    """The object first, then its versions by number."""
    number = thing.rpartition(" ")[2]
    return thing not in ROOTS, int(number) if number.isdecimal() and len(number) < 20 else 0, thing


def applied(state: State, found: Iterable[Difference]) -> State:
    """The state after these differences: the inverse of `differences`."""
    for difference in found:
        state = _applied(state, difference)
    return state


def _applied(state: State, found: Difference) -> State:
    thing, name = parted(found.aspect, state)
    if name == RENAMED or (thing in ROOTS and not name and found.after is None):
        return {}
    if not name:
        rest = {other: facts for other, facts in state.items() if other != thing}
        return {**rest, thing: found.after} if isinstance(found.after, dict) else rest
    facts = {other: value for other, value in state.get(thing, {}).items() if other != name}
    return {**state, thing: facts if found.after is None else {**facts, name: found.after}}


def parted(aspect: str, state: State) -> tuple[str, str]:
    """The thing that an aspect is about, and its part; no part for the thing as a whole."""
    if aspect in ROOTS:
        return aspect, ""
    if match := _VERSION.fullmatch(aspect):
        return match[1], match[2] or ""
    return next((root for root in ROOTS if root in state), ROOTS[0]), aspect


def observations(source: str, name: str, state: State) -> list[ExternalObjectObserved]:
    """The events that say how an object was first seen, none larger than an event may be."""
    parts: list[dict[str, JsonValue]] = [{}]
    room = MOST_OF_AN_EVENT
    for thing in sorted(state, key=_in_order):
        if (size := _size({thing: state[thing]})) > room:
            parts.append({})
            room = MOST_OF_AN_EVENT
        parts[-1][thing] = dict(state[thing])
        room -= size
    return [ExternalObjectObserved(source=source, object=name, state=things) for things in parts]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a delivery of the source said: its id, and the aspects that it speaks of."""

    delivery: str
    aspects: Collection[str]

    def explains(self, found: Difference) -> bool:
        """Whether the delivery speaks of this aspect, or of the thing that it belongs to."""
        return any(found.aspect == told or found.aspect.startswith(f"{told} ") for told in self.aspects)


def learned(
    source: str, name: str, before: External, after: State, announcement: Announcement | None = None
) -> list[Event]:
    """The events that one look at an object brings.

    A look that a delivery asked for takes what the delivery explains, and leaves the rest: its own delivery may be
    under way. Without one, what differs is drift.
    """
    if not before.seen:
        return [*observations(source, name, after)] if after else []
    found = differences(before.state, after)
    if announcement is None:
        return [drift(source, name, before, difference) for difference in found]
    told = tuple(difference for difference in found if announcement.explains(difference))
    if not told:
        return []
    return [ExternalChangeAnnounced(source=source, object=name, delivery=announcement.delivery, differences=told)]


def things_of(event: Event, state: State) -> list[str]:
    """The things that an event of an external stream is about."""
    match event:
        case ExternalObjectObserved(state=seen):
            return [*seen]
        case ExternalDriftDetected(difference=found):
            return [parted(found.aspect, state)[0]]
        case ExternalChangeAnnounced(differences=found):
            return [parted(difference.aspect, state)[0] for difference in found]
        case _:
            return []


def drift(source: str, name: str, known: External, found: Difference) -> ExternalDriftDetected:
    return ExternalDriftDetected(source=source, object=name, difference=found, ref=_concerned(known, found))


def _concerned(known: External, found: Difference) -> str | None:
    """The version of ours: that of the external version spoken of, or, where all are concerned, the newest."""
    thing, name = parted(found.aspect, known.state)
    if name.startswith("alias "):
        return next((ref for end in (found.after, found.before) if (ref := _ours(known, end))), None)
    if thing not in ROOTS:
        return _ours(known, thing.removeprefix("version "))
    return next((imported.ref for imported in reversed([*known.imports.values()])), None)


def _ours(known: External, version: JsonValue) -> str | None:
    """As imported, or as its tag `hallmark.ref` says."""
    if not isinstance(version, str):
        return None
    if version in known.imports:
        return known.imports[version].ref
    said = str(known.state.get(f"version {version}", {}).get("tag hallmark.ref"))
    try:
        parse_ref(said)
    except ValueError:
        return None
    return said


def renamed(
    source: str, old: str, new: str, known: External, after: State, *, announcement: Announcement | None = None
) -> tuple[list[Event], list[Event]]:
    """The events of a renaming: for the stream of the old name, and for that of the new one.

    The new stream begins with what was known, so that what changed beside the name is found, too: now as drift, where
    nobody announced the renaming, else by its own delivery or the next poll.
    """
    name = Difference(aspect=RENAMED, before=old, after=new)
    begun: list[Event] = [*observations(source, new, known.state)]
    imports = [imported.model_copy(update={"object": new}) for imported in known.imports.values()]
    if announcement:
        delivery = announcement.delivery
        told = ExternalChangeAnnounced(source=source, object=old, delivery=delivery, differences=(name,))
        return [told], [*begun, *imports]
    changed = [drift(source, new, known, found) for found in differences(known.state, after)]
    return [drift(source, old, known, name)], [*begun, *imports, *changed]
