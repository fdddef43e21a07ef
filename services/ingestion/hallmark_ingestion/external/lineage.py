"""Which version of ours a named base model is: one that is known exactly, or none, and why. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hallmark_ingestion.external.model_config import Named

_COMMIT: Final = re.compile("[0-9a-f]{40}")
UNNAMED: Final = (None, "main")
"""Revisions that say nothing of which commit was meant."""


class Imported(NamedTuple):
    """A commit that became a version here."""

    repository: str
    commit: str
    ref: str


class Link(NamedTuple):
    """A base model as it is named, and the version of ours that it is; without one it stays a claim."""

    repository: str
    revision: str | None
    ref: str | None
    why: str


def named_bases(claims: Mapping[str, Any]) -> list[Named]:
    """Each once: with its revision, where the configuration gives one."""
    config = [Named(**base) for base in claims["config"]["base_model"]]
    known = {base.repository for base in config}
    return [*dict.fromkeys(config), *(Named(name) for name in dict.fromkeys(claims["base_model"]) if name not in known)]


def links(claims: Mapping[str, Any], imported: Sequence[Imported]) -> list[Link]:
    """What each named base model comes to; where card and configuration contradict each other, none of them."""
    if claims["contradictions"]:
        why = "card and configuration name different base models"
        return [Link(*base, None, why) for base in named_bases(claims)]
    return [_link(base, [one for one in imported if one.repository == base.repository]) for base in named_bases(claims)]


def _link(base: Named, there: Sequence[Imported]) -> Link:
    if not there:
        return Link(*base, None, "it was not imported here from the same hub")
    if base.revision not in UNNAMED:
        return _pinned(base, there)
    if len(there) == 1:
        return Link(*base, there[0].ref, "the only version of it that was imported here; no commit is named")
    return Link(*base, None, f"no commit is named, and several were imported here: {_refs(there)}")


def _pinned(base: Named, there: Sequence[Imported]) -> Link:
    if not _COMMIT.fullmatch(base.revision or ""):
        return Link(*base, None, "its revision is named by a word that can move, and by no commit")
    same = [one for one in there if one.commit == base.revision]
    if len(same) == 1:
        return Link(*base, same[0].ref, "the commit that is named was imported here")
    if same:
        return Link(*base, None, f"the commit that is named was imported several times: {_refs(same)}")
    return Link(*base, None, f"the commit that is named was not imported here, others were: {_refs(there)}")


def as_recorded(found: Iterable[Link], depends_on: Collection[str]) -> list[dict[str, Any]]:
    """As it was registered: a version that was there before keeps what it depends on."""
    lost = "what this version depends on was settled before: register it under another name to link "
    return [
        (link if link.ref is None or link.ref in depends_on else link._replace(ref=None, why=lost + link.ref))._asdict()
        for link in found
    ]


def _refs(there: Sequence[Imported]) -> str:
    more = f" and {len(there) - 10} more" if len(there) > 10 else ""
    return ", ".join(one.ref for one in there[:10]) + more
