"""What a run has left in the database, in a form in which two runs can be compared."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any, Final

import asyncpg
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.governance import (
    AccountCreated,
    AccountIdentified,
    AdvisoryPublished,
    ServedWindowRecorded,
    TokenIssued,
)
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRequested,
)
from registry_core.events.versions import ArtifactStored, DependantAdded, DependencyChanged, VersionAdded

EndState = Mapping[str, Any]
"""By stream: its events as `(type, essential fields)`."""

_EVENTS: Final = """
    select e.stream_id, e.version, e.event_id, e.type, convert_from(e.body, 'utf8') as body, e.causation_id, s.log_index
      from log.events e left join log.sealed s using (position) order by s.log_index"""
_VOLATILE: Final = frozenset(
    {
        "envelope", "facts", "decision_digest", "manifest_digest",  # hold times and ids of the run
        "location", "uri",  # hold the data folder
        "token_id", "secret_sha256", "key_id", "public_key",  # made anew by each installation
    }
)  # fmt: skip
"""Fields that no two runs share."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d[\d:.]*(Z|[+-]\d\d:\d\d)")
_UNORDERED: Final = frozenset(
    event.type
    for event in (
        ArtifactStored, EvidenceAttached, ArtifactScanned, DependenciesScanned, ProvenanceVerified, EvaluationAssessed,
        VulnerabilityFound, DependencyChanged, VersionAdded, DependantAdded, PromotionOpened, PromotionClosed,
    )
)  # fmt: skip
"""Services bring these about side by side: that they are there is settled, their order is not.

(Who waits for a promotion learns its end before the version's own stream is marked with it. A promotion's stream keeps
its order, and with it who approved before what.)
"""


async def end_state(owner: asyncpg.Connection) -> EndState:
    """Everything that has to be the same in every run.

    Left out is what differs between two undisturbed runs, too: times, keys, tokens, ids, folders, the order of what
    independent checks found; and, since what is lost is sent again: how many tokens were issued and how often the
    same customers were served. The customers served, by which version in which state, have to be the same.
    """
    rows = await owner.fetch(_EVENTS)
    names = _promotions(rows) | _persons(rows)
    streams: dict[str, Any] = {}
    for stream, events in groupby(sorted(rows, key=_place), key=lambda row: row["stream_id"]):
        streams[_renamed(stream, names)] = _story([(e["type"], _essence(e, names)) for e in events])
    jobs = await owner.fetch("select service, kind, state, count(*) as jobs from work.jobs group by 1, 2, 3")
    letters = await owner.fetch("select consumer, topic, reason from work.dead_letters order by id")
    return {
        **streams,
        "jobs": sorted(tuple(row) for row in jobs),
        "dead letters": [tuple(row) for row in letters],
        "customers served": _customers(rows),
    }


def _place(row: asyncpg.Record) -> tuple[str, int]:
    return row["stream_id"], row["version"]


def _customers(rows: Sequence[asyncpg.Record]) -> int:
    windows = [json.loads(row["body"]) for row in rows if row["type"] == ServedWindowRecorded.type]
    return len({count["customer"] for window in windows for count in window["customers"]})


def _promotions(rows: Sequence[asyncpg.Record]) -> dict[str, str]:
    """Ids of promotions to names that tell the same in every run: the journey asks for one after the other."""
    requested = [json.loads(row["body"]) for row in rows if row["type"] == PromotionRequested.type]
    return {item["promotion"]: f"<promotion {n} of {item['ref']}>" for n, item in enumerate(requested, 1)}


def _persons(rows: Sequence[asyncpg.Record]) -> dict[str, str]:
    """Pseudonyms are random: each person by the first account of theirs."""
    types = (AccountCreated.type, AccountIdentified.type)
    identified = [json.loads(row["body"]) for row in rows if row["type"] in types]
    return {i["person"]: f"<person of {i['account']}>" for i in reversed(identified) if i["person"].startswith("p-")}


def _renamed(text: str, names: Mapping[str, str]) -> str:
    for made, name in names.items():
        text = text.replace(made, name)
    return _TIME.sub("<time>", text)


def _essence(row: asyncpg.Record, names: Mapping[str, str]) -> str:
    data = json.loads(_renamed(row["body"], names))
    match row["type"]:
        case PolicyEvaluated.type:
            data = {"passed": data["passed"], "results": sorted((r["rule"], r["outcome"]) for r in data["results"])}
        case PromotionRefused.type:
            data = {"reasons": sorted(r["rule"] for r in data["reasons"])}
        case DependenciesScanned.type:
            del data["vulnerable"]  # of the advisories known just then; what they find later comes as an event, too
        case ServedWindowRecorded.type:
            del data["requests"], data["customers"]
        case AdvisoryPublished.type:
            del data["digest"]  # of a document that holds the hour
    return json.dumps(_without_volatile(data), sort_keys=True)


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {n: _without_volatile(item) for n, item in value.items() if n not in _VOLATILE and not _is_sealed(item)}
    return [_without_volatile(item) for item in value] if isinstance(value, list) else value


def _is_sealed(value: Any) -> bool:
    """Under a key of its own each time (`Sealed`)."""
    return isinstance(value, dict) and value.keys() >= {"scheme", "data"}


def _story(events: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """One stream: what was decided, in order; what services brought about side by side; repetitions once."""
    repeatable = {TokenIssued.type, ServedWindowRecorded.type}
    once = [event for n, event in enumerate(events) if event[0] not in repeatable or event not in events[:n]]
    return {
        "decided": [event for event in once if event[0] not in _UNORDERED],
        "side by side": Counter(event for event in once if event[0] in _UNORDERED),
    }


def differences(expected: EndState, found: EndState) -> dict[str, Any]:
    """By stream: what only one of two end states has. Empty when they are equal."""
    return {
        name: _difference(expected.get(name), found.get(name))
        for name in expected.keys() | found.keys()
        if expected.get(name) != found.get(name)
    }


def _difference(expected: Any, found: Any) -> Any:
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return {"expected": expected, "found": found}
    one, other = expected["side by side"], found["side by side"]
    decided = [pair for pair in zip_longest(expected["decided"], found["decided"]) if pair[0] != pair[1]]
    return {"missing": dict(one - other), "added": dict(other - one), "decided otherwise": decided}
