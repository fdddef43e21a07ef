"""What is true in an MLflow server: its registered models by pages, and one model as it is now."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from registry_core.events import Event

from hallmark_ingestion.external.asking import Asking, SourceRefusalError
from hallmark_ingestion.external.looking import Look
from hallmark_ingestion.external.mlflow_state import (
    MODEL,
    ModelPage,
    ModelVersion,
    RegisteredModel,
    VersionPage,
    made_since,
    same_model,
    state_of,
)
from hallmark_ingestion.external.state import State

API: Final = "/api/2.0/mlflow"
PAGE: Final = 1000
"""Models, and versions, of one answer: the most that MLflow gives of models."""
MOST_PAGES: Final = 10_000


class _One(BaseModel):
    registered_model: RegisteredModel


class _OneVersion(BaseModel):
    model_version: ModelVersion


class Mlflow:
    """Two requests for each thousand models and each thousand versions, whatever their number per model."""

    def __init__(self, asking: Asking) -> None:
        self._ask = asking

    async def listing(self, known: Collection[str]) -> Mapping[str, State]:
        """Every model there is. Pages may slip while models come and go: what seems changed is looked at singly."""
        models = {model.name: model async for model in self._models()}
        versions: dict[str, list[ModelVersion]] = {name: [] for name in models}
        async for version in self._versions():
            if version.name in versions:
                versions[version.name].append(version)
        return {name: state_of(model, versions[name]) for name, model in models.items()}

    async def look(self, name: str, known: State) -> Look:
        """One model as it is now; where it is gone, also under which name it goes on. Raises SourceAwayError."""
        model = await self._model(name)
        if model is None:
            return await self._gone(name, known)
        versions = {version.version: version async for version in self._versions(name)}
        for thing in known:
            number = thing.removeprefix("version ")
            if thing != MODEL and number not in versions and (found := await self.version(name, number)):
                versions[number] = found
        return Look(state_of(model, versions.values()))

    def to_import(self, events: Sequence[Event], state: State, since: datetime) -> Mapping[str, Any]:
        """Versions made since the source was connected."""
        return made_since(events, state, since)

    async def _gone(self, name: str, known: State) -> Look:
        if not known:
            return Look({})
        async for model in self._models():
            if model.name == name or model.creation_timestamp != known.get(MODEL, {}).get("created"):
                continue
            state = state_of(model, [version async for version in self._versions(model.name)])
            if same_model(known, state):
                return Look(state, renamed_to=model.name)
        return Look({})

    async def _model(self, name: str) -> RegisteredModel | None:
        try:
            return (await self._ask.read(_One, f"{API}/registered-models/get", {"name": name})).registered_model
        except SourceRefusalError as error:
            self._says_absent(error)
            return None

    async def version(self, name: str, number: str) -> ModelVersion | None:
        """One version; None where there is none. Raises SourceAwayError."""
        try:
            answer = await self._ask.read(_OneVersion, f"{API}/model-versions/get", {"name": name, "version": number})
        except SourceRefusalError as error:
            self._says_absent(error)
            return None
        return answer.model_version

    def _says_absent(self, error: SourceRefusalError) -> None:
        """A 404 of MLflow itself names its reason; that of a proxy before it says nothing about models."""
        if "RESOURCE_DOES_NOT_EXIST" not in str(error):
            raise self._ask.away(f"answers 404 as no MLflow does: {str(error)[:200]}")

    async def _models(self) -> AsyncIterator[RegisteredModel]:
        async for page in self._pages(ModelPage, f"{API}/registered-models/search", {}):
            for model in page.registered_models:
                yield model

    async def _versions(self, name: str = "") -> AsyncIterator[ModelVersion]:
        """Of one model, or all of them. A name with both kinds of quotes no filter can say: then all are read."""
        quote = next((quote for quote in "'\"" if quote not in name), None)
        query = {"filter": f"name={quote}{name}{quote}"} if name and quote else {}
        async for page in self._pages(VersionPage, f"{API}/model-versions/search", query):
            for version in page.model_versions:
                if name in ("", version.name):
                    yield version

    async def _pages(self, model: type[Any], path: str, query: Mapping[str, str]) -> AsyncIterator[Any]:
        token = ""
        for _ in range(MOST_PAGES):
            more = {"page_token": token} if token else {}
            try:
                page = await self._ask.read(model, path, {"max_results": PAGE, **query, **more})
            except SourceRefusalError as error:
                raise self._ask.away(f"does not know {path}: {str(error)[:200]}") from None
            yield page
            if not page.next_page_token:
                return
            if page.next_page_token == token:
                break
            token = page.next_page_token
        raise self._ask.away(f"gives page after page of {path} without an end")
