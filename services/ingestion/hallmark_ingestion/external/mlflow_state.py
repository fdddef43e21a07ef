"""Registered models of MLflow, as its REST API tells them, and the state that they are compared by. Pure.

REST API 2.0 of MLflow 3.17: `RegisteredModel`, `ModelVersion`. A model's creation time stays through a renaming.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, JsonValue, model_validator
from registry_core.events import Event

from hallmark_ingestion.external.state import State, bounded, fact, part, things_of

MODEL: Final = "model"
NO_STAGE: Final = "None"
_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
_Number = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class Tag(BaseModel):
    key: str
    value: _Text = ""


class Alias(BaseModel):
    alias: str
    version: _Number


class RegisteredModel(BaseModel):
    name: str
    creation_timestamp: int
    """Milliseconds since 1970."""
    description: _Text = ""
    tags: tuple[Tag, ...] = ()
    aliases: tuple[Alias, ...] = ()


class ModelVersion(BaseModel):
    name: str
    version: _Number
    creation_timestamp: int
    description: _Text = ""
    current_stage: _Text = NO_STAGE
    source: _Text = ""
    run_id: _Text = ""
    status: str = "READY"
    tags: tuple[Tag, ...] = ()


class _Page(BaseModel):
    """MLflow leaves out what is empty; an answer of other fields altogether is none of a list."""

    next_page_token: _Text = ""

    @model_validator(mode="before")
    @classmethod
    def _is_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and data and not data.keys() & cls.model_fields.keys():
            raise ValueError(f"none of the fields {', '.join(cls.model_fields)} is there")
        return data


class ModelPage(_Page):
    registered_models: tuple[RegisteredModel, ...] = ()


class VersionPage(_Page):
    model_versions: tuple[ModelVersion, ...] = ()


def state_of(model: RegisteredModel, versions: Iterable[ModelVersion]) -> State:
    """What a model is compared by; what is empty is left out."""
    found = {MODEL: bounded(dict(_of_model(model)))}
    return found | {f"version {version.version}": bounded(dict(_of_version(version))) for version in versions}


def _of_model(model: RegisteredModel) -> Iterator[tuple[str, JsonValue]]:
    yield "created", model.creation_timestamp
    yield from _texts(description=model.description)
    yield from _tags(model.tags)
    for alias in model.aliases:
        yield f"alias {part(alias.alias)}", alias.version


def _of_version(version: ModelVersion) -> Iterator[tuple[str, JsonValue]]:
    yield "created", version.creation_timestamp
    stage = "" if version.current_stage == NO_STAGE else version.current_stage
    yield from _texts(source=version.source, run=version.run_id, stage=stage, description=version.description)
    yield from _tags(version.tags)


def _texts(**texts: str) -> Iterator[tuple[str, JsonValue]]:
    yield from ((name, fact(text)) for name, text in texts.items() if text)


def _tags(tags: Iterable[Tag]) -> Iterator[tuple[str, JsonValue]]:
    yield from ((f"tag {part(tag.key)}", fact(tag.value)) for tag in tags)


def same_model(known: State, found: State) -> bool:
    """Whether a model of another name is the one that was known: made in the same millisecond, versions too."""
    if known.get(MODEL, {}).get("created") != found.get(MODEL, {}).get("created"):
        return False
    ours, theirs = _made(known), _made(found)
    return not ours or any(theirs.get(version) == made for version, made in ours.items())


def _made(state: State) -> dict[str, JsonValue]:
    return {thing: facts.get("created") for thing, facts in state.items() if thing != MODEL}


def made_since(events: Iterable[Event], state: State, since: datetime) -> dict[str, Any]:
    """The versions that these events are about and that were made since then, with their facts."""
    first = int(since.timestamp() * 1000)
    things = dict.fromkeys(thing for event in events for thing in things_of(event, state) if thing != MODEL)
    found = {thing: state[thing] for thing in things if thing in state}
    return {thing.removeprefix("version "): facts for thing, facts in found.items() if _at(facts) >= first}


def _at(facts: Mapping[str, JsonValue]) -> int:
    made = facts.get("created")
    return made if isinstance(made, int) else 0


def announced(event: str, data: Mapping[str, Any]) -> list[str]:
    """The aspects that a webhook speaks of, by its `<entity>.<action>` and its data; none for what is not followed."""
    match event.partition(".")[0]:
        case "registered_model":
            return [MODEL]
        case "model_version":
            return [f"version {data.get('version')}"]
        case "model_version_tag":
            return [f"version {data.get('version')} tag {part(str(data.get('key')))}"]
        case "model_version_alias":
            return [f"alias {part(str(data.get('alias')))}"]
        case _:
            return []
