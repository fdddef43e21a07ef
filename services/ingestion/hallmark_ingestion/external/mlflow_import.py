"""A model version of MLflow becomes a draft: its files fetched through the tracking server, by digest."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from registry_core.objects import ObjectStorage
from registry_core.problems import Problem, invalid
from registry_core.sources import Source
from registry_core.values import File, Metadata

from hallmark_ingestion.domain import MOST_FILES
from hallmark_ingestion.external.asking import Asking, SourceRefusalError, same_origin
from hallmark_ingestion.external.mlflow import API, Mlflow
from hallmark_ingestion.external.mlflow_state import ModelVersion, Tag
from hallmark_ingestion.external.registering import Fetched, check_count, file_named
from hallmark_ingestion.intake.batch import Allowed
from hallmark_ingestion.intake.commands import faults, in_words

ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
FIELDS: Final = (
    "owner", "backup_owner", "escalation", "purpose", "licence", "risk_tier", "fine_tune_method",
    "source_repository", "source_commit",
)  # fmt: skip
"""Metadata that tags `hallmark.<field>` of a version name."""
VERSION_TAG: Final = "hallmark.version"
_COMMIT, _REPOSITORY = "mlflow.source.git.commit", "mlflow.source.git.repoURL"
"""Tags that MLflow itself gives a run."""


class _Where(BaseModel):
    artifact_uri: str = ""


class _Entry(BaseModel):
    path: str
    is_dir: bool = False
    file_size: Annotated[int, Field(ge=0)] | None = None


class _Listing(BaseModel):
    files: Annotated[tuple[_Entry, ...], BeforeValidator(lambda value: value or ())] = ()


class _RunData(BaseModel):
    tags: tuple[Tag, ...] = ()


class _Run(BaseModel):
    data: _RunData = _RunData()


class _OneRun(BaseModel):
    run: _Run


class MlflowImport:
    def __init__(self, asking: Asking, objects: ObjectStorage, limit: int, allowed: Allowed) -> None:
        """`limit`: bytes of one file. `allowed` is asked before any of them is fetched."""
        self._ask, self._objects, self._limit, self._allowed = asking, objects, limit, allowed

    async def fetch(self, source: Source, name: str, number: str) -> Fetched:
        """Raises Problem for what cannot be taken as it is; SourceAwayError."""
        version = await Mlflow(self._ask).version(name, number)
        if version is None:
            raise invalid(f"{name}, version {number}, is not there any more", "nothing is to be done")
        if version.status != "READY":
            raise self._ask.away(f"has not finished {name}, version {number}: it is {version.status}")
        tags = {tag.key: tag.value for tag in version.tags}
        ref, metadata = _ref(name, version, tags), _metadata(tags, await self._run_tags(version))
        self._allowed(ref)
        files = [file async for file in self._files(await self._folder(name, number))]
        check_count(len(files))
        return Fetched(ref, files, metadata, source.account, _source(source, version))

    async def _folder(self, name: str, number: str) -> str:
        """The path of its files below the server's artifacts. Raises Problem 422 where it does not serve them."""
        path = f"{API}/model-versions/get-download-uri"
        try:
            uri = (await self._ask.read(_Where, path, {"name": name, "version": number})).artifact_uri
        except SourceRefusalError as error:
            raise _not_given(f"{name}, version {number}", error) from None
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts" or (parts.netloc and not self._own(parts.netloc)):
            raise invalid(
                f"its files are at {uri[:500]!r}, which the tracking server does not serve",
                "start the server with --serve-artifacts (its default) and --artifacts-destination, or register the "
                "files from the pipeline: `hallmark register`",
            )
        return parts.path.strip("/")

    def _own(self, netloc: str) -> bool:
        scheme = urlsplit(self._ask.url).scheme
        return same_origin(f"{scheme}://{netloc}", self._ask.url)

    async def _files(self, root: str) -> AsyncIterator[File]:
        """Every file below, stored, by its path below the root. MLflow lists names, within one folder."""
        async for name in self._names(root):
            file_named(name, f"sha256:{'0' * 64}")  # before anything of it is fetched
            digest, size = await self._objects.take(self._content(root, name), self._limit)
            yield file_named(name, digest, size)

    async def _names(self, root: str) -> AsyncIterator[str]:
        folders, count = [""], 0
        while folders:
            folder = folders.pop()
            for entry in await self._entries(f"{root}/{folder}".rstrip("/")):
                count += 1
                if count > 2 * MOST_FILES:
                    check_count(count)
                name = f"{folder}/{entry.path.rpartition('/')[2]}".lstrip("/")
                if entry.is_dir:
                    file_named(name, f"sha256:{'0' * 64}")
                    folders.append(name)
                else:
                    yield name

    async def _entries(self, path: str) -> tuple[_Entry, ...]:
        try:
            return (await self._ask.read(_Listing, ARTIFACTS, {"path": path})).files
        except SourceRefusalError as error:
            raise _not_given(path, error) from None

    async def _content(self, root: str, name: str) -> AsyncIterator[bytes]:
        try:
            async with self._ask.opened(f"{ARTIFACTS}/{quote(f'{root}/{name}')}") as response:
                async for chunk in self._ask.chunks(response):
                    yield chunk
        except SourceRefusalError as error:
            raise _not_given(name, error) from None

    async def _run_tags(self, version: ModelVersion) -> dict[str, str]:
        if not version.run_id:
            return {}
        try:
            run = (await self._ask.read(_OneRun, f"{API}/runs/get", {"run_id": version.run_id})).run
        except SourceRefusalError:  # runs can be deleted; the version stays
            return {}
        return {tag.key: tag.value for tag in run.data.tags}


def _not_given(path: str, error: SourceRefusalError) -> Problem:
    return invalid(
        f"the tracking server does not give {path[:300]!r}: {str(error)[:300]}",
        "look whether its files are still there, and register a new version in MLflow if not",
    )


def _ref(name: str, version: ModelVersion, tags: dict[str, str]) -> str:
    return f"model:{name}@{tags.get(VERSION_TAG) or f'{version.version}.0.0'}"


def _metadata(tags: dict[str, str], run: dict[str, str]) -> Metadata:
    """What tags of the version say, and of its code what the run's say. Raises Problem 422 that names the tag."""
    known = {"source_commit": run.get(_COMMIT), "source_repository": run.get(_REPOSITORY)}
    said: dict[str, Any] = {field: tags[f"hallmark.{field}"] for field in FIELDS if f"hallmark.{field}" in tags}
    try:
        return Metadata.model_validate({name: value for name, value in {**known, **said}.items() if value})
    except ValidationError as error:
        found = in_words(faults(error, "")).replace("/", "tag hallmark.")
        raise invalid(found, "correct the tag in MLflow: its change is seen, and the version fetched again") from None


def _source(source: Source, version: ModelVersion) -> str:
    run = f"?run={version.run_id}" if version.run_id else ""
    return f"mlflow://{source.source}/{quote(version.name, safe='')}/{version.version}{run}"
