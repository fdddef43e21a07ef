"""Repositories of Hugging Face, as the hub's API tells them, and the state that they are compared by. Pure.

Source: `/api/models/<id>` and `/api/models/<id>/revision/<revision>?blobs=true`, as huggingface_hub 2.4 asks them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, JsonValue, StringConstraints
from registry_core.events import Event

from hallmark_ingestion.external.state import RENAMED, State, bounded, fact, parted, things_of

REPOSITORY: Final = "repository"
HEAD: Final = "head"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HF: Final = re.compile(rf"hf://(?P<repository>{_NAME}(/{_NAME})?)(@(?P<revision>[^\s@]{{1,200}}))?")
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class Lfs(BaseModel):
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Sibling(BaseModel):
    """One file. Without `lfs` its content is what git calls `blobId`: SHA-1 of a header and the bytes."""

    rfilename: str
    size: Annotated[int, Field(ge=0)] | None = None
    blobId: Commit | None = None  # noqa: N815 - the hub's word
    lfs: Lfs | None = None


class Repository(BaseModel):
    id: str
    sha: Commit
    private: bool = False
    gated: Literal["auto", "manual", False] = False
    disabled: bool = False
    tags: Annotated[tuple[str, ...], BeforeValidator(lambda value: value or ())] = ()
    siblings: Annotated[tuple[Sibling, ...], BeforeValidator(lambda value: value or ())] = ()


def parse_url(url: str) -> tuple[str, str]:
    """Repository and revision of `hf://org/name@revision`; `main` where none is named. Raises ValueError."""
    match = _HF.fullmatch(url)
    if match is None or ".." in match["repository"]:
        raise ValueError(f"{url[:200]!r} names no repository; write hf://organisation/name@revision")
    return match["repository"], match["revision"] or "main"


def state_of(repository: Repository) -> State:
    """What a repository is compared by; what is as usual is left out."""
    return {REPOSITORY: bounded(dict(_facts(repository)))}


def _facts(repository: Repository) -> Iterator[tuple[str, JsonValue]]:
    yield HEAD, repository.sha
    licences = [tag.removeprefix("license:") for tag in repository.tags if tag.startswith("license:")]
    tags = sorted(tag for tag in repository.tags if not tag.startswith("license:"))
    texts = {"gated": repository.gated or "", "licence": ", ".join(licences), "tags": ", ".join(tags)}
    yield from ((name, fact(text)) for name, text in texts.items() if text)
    yield from ((name, True) for name in ("private", "disabled") if getattr(repository, name))


def heads(events: Iterable[Event], state: State) -> dict[str, Any]:
    """The head that these events brought, if it is there."""
    facts = state.get(REPOSITORY, {})
    brought = any(_brings_head(event, state) for event in events)
    return {str(facts[HEAD]): {HEAD: facts[HEAD]}} if brought and HEAD in facts else {}


def _brings_head(event: Event, state: State) -> bool:
    found = [getattr(event, "difference", None), *getattr(event, "differences", ())]
    named = any(d is not None and parted(d.aspect, state)[1] in ("", HEAD) for d in found)
    return named or (REPOSITORY in things_of(event, state) and not any(found))


def announced(action: str, scope: str) -> list[str]:
    """The aspects that a webhook (v3) speaks of, by its `event.action` and `event.scope`."""
    match scope, action:
        case "repo.content", _:
            return [HEAD, "tags", "licence"]
        case "repo.config", _:
            return ["private", "gated", "disabled"]
        case "repo", "create" | "delete":
            return [REPOSITORY]
        case "repo", "move":
            return [RENAMED, REPOSITORY]
        case "repo", "update":
            return [HEAD, "tags", "licence", "private", "gated", "disabled"]
        case _:
            return []
