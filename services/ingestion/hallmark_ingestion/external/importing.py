"""Fetches versions from outer systems as jobs, and tells what became of each where people look for it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from registry_core.access import asset_of
from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.sources import ExternalVersionImported, ExternalVersionRefused
from registry_core.handlers import Effect, Reader, load
from registry_core.identity import find_account
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.sources import Source, check_may_feed, external_stream, find_source
from registry_core.store.model import ANY, Append
from registry_core.values import sha256_digest
from registry_core.version import Version

from hallmark_ingestion.external.asking import Asking, SourceAwayError
from hallmark_ingestion.external.huggingface_import import HuggingFaceImport, Wanted
from hallmark_ingestion.external.imports import Import, Imports
from hallmark_ingestion.external.lineage import Link, as_recorded, links, named_bases
from hallmark_ingestion.external.mlflow_import import MlflowImport
from hallmark_ingestion.external.observing import Observer
from hallmark_ingestion.external.registering import Fetched, refused, register_fetched
from hallmark_ingestion.external.state import External
from hallmark_ingestion.intake.batch import allowed_to

log = structlog.get_logger()


class Importer:
    def __init__(self, platform: Platform, observer: Observer) -> None:
        self._platform, self._observer = platform, observer

    @property
    def _imports(self) -> Imports:
        return Imports(self._platform.pool)

    async def job(self, payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        """Job `import-version`: {"import": id of `work.imports`}, or {"source", "object", "version"}."""
        if "import" in payload:
            await self._asked_for(UUID(payload["import"]), reader)
        else:
            await self._found(payload["source"], payload["object"], payload["version"], reader)
        return []

    async def _asked_for(self, made: UUID, reader: Reader) -> None:
        known = await self._imports.find(made)
        if known is None or known.state in ("done", "refused"):
            return
        source = await find_source(reader, known.source) if known.source else None
        try:
            fetched, digest, lineage = await self._fetch(known, source)
        except Problem as problem:
            await self._imports.refuse(made, *refused(problem))
            return
        if source:
            await self._follow(source, known.wanted.repository, fetched, digest)
        await self._imports.done(made, fetched.ref, digest, fetched.claims, lineage)

    async def _fetch(self, known: Import, source: Source | None) -> tuple[Fetched, str, list[dict[str, Any]]]:
        """From the hub, and registered, with what became of its base models. Raises Problem, SourceAwayError."""
        await check_may_feed(self._platform.reader, known.wanted.account)
        asking = await self._observer.asking(source) if source else self._hub(known.endpoint)
        limit = self._platform.settings.max_artifact_bytes
        fetching = HuggingFaceImport(asking, self._platform.objects, limit)
        fetched = await fetching.fetch(known.wanted, self._imports.progress(known))
        found = await self._links(known, fetched)
        linked = fetched.metadata.model_copy(update={"depends_on": tuple(link.ref for link in found if link.ref)})
        fetched = replace(fetched, metadata=linked)
        digest = await register_fetched(self._platform, fetched)
        version = await load(self._platform.reader, Version(), fetched.ref)
        return fetched, digest, as_recorded(found, version.metadata.dependencies)

    async def _links(self, known: Import, fetched: Fetched) -> list[Link]:
        """Only to what the account may read: an import tells nobody what else is here."""
        account = await find_account(self._platform.reader, fetched.account)
        names = [base.repository for base in named_bases(fetched.claims) if base.repository != known.wanted.repository]
        there = await self._imports.imported(known.endpoint, names)
        readable = [one for one in there if account.may("read", asset_of(one.ref)) and one.ref != fetched.ref]
        return links(fetched.claims, readable)

    def _hub(self, endpoint: str) -> Asking:
        token = self._platform.settings.huggingface_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._observer.asking_of("huggingface", endpoint, headers, "HALLMARK_HUGGINGFACE_TOKEN")

    async def _follow(self, source: Source, name: str, fetched: Fetched, digest: str) -> None:
        """From here on what changes in the repository is found; that it is away now does not undo the import."""
        with suppress(SourceAwayError):
            await self._observer.observe(source, name)
        await self._tell_imported(source, name, fetched.source.rpartition("@")[2], fetched, digest)

    async def _found(self, source_name: str, name: str, version: str, reader: Reader) -> None:
        """A version that a connected source announced, or that was found there."""
        source = await find_source(reader, source_name)
        known = await load(reader, External(), external_stream(source_name, name))
        if not source.connected or version in known.imports:
            return
        try:
            await check_may_feed(reader, source.account)
            fetched, digest = await self._fetch_found(source, name, version)
        except Problem as problem:
            reason, fix = refused(problem)
            told = ExternalVersionRefused(source=source_name, object=name, version=version, reason=reason, fix=fix)
            await self._tell(source, name, told)
            log.info("version not imported", source=source_name, object=name, version=version, reason=reason)
        else:
            await self._tell_imported(source, name, version, fetched, digest)

    async def _fetch_found(self, source: Source, name: str, version: str) -> tuple[Fetched, str]:
        if source.kind == "mlflow":
            limit = self._platform.settings.max_artifact_bytes
            account = await find_account(self._platform.reader, source.account)
            asking = await self._observer.asking(source)
            fetching = MlflowImport(asking, self._platform.objects, limit, allowed_to(account))
            fetched = await fetching.fetch(source, name, version)
            return fetched, await register_fetched(self._platform, fetched)
        made = derived_id(NAMESPACE, "import", source.source, name, version)
        await self._imports.ask(made, Wanted(name, version, source.account), source.source, source.url)
        known = await self._imports.find(made)
        assert known is not None  # it was made above, and none is ever deleted
        try:
            fetched, digest, lineage = await self._fetch(known, source)
        except Problem as problem:
            await self._imports.refuse(made, *refused(problem))
            raise
        await self._imports.done(made, fetched.ref, digest, fetched.claims, lineage)
        return fetched, digest

    async def _tell_imported(self, source: Source, name: str, version: str, fetched: Fetched, digest: str) -> None:
        told = ExternalVersionImported(
            source=source.source, object=name, version=version, ref=fetched.ref, digest=digest
        )
        await self._tell(source, name, told)

    async def _tell(self, source: Source, name: str, told: Event) -> None:
        """Once, whatever happened on the stream meanwhile."""
        stream = external_stream(source.source, name)
        made = derived_id(NAMESPACE, stream, told.type, sha256_digest(told.encode()))
        if await self._platform.store.position(made):
            return
        origin = Origin(actor=source.account, occurred_at=self._platform.clock(), correlation_id=made)
        await self._platform.store.append(Append(stream, [NewEvent(id=made, data=told, origin=origin)], ANY))
