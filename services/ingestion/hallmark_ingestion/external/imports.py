"""Imports that were asked for, and how far each is (`work.imports`): told to whoever waits, and gone on with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from registry_core.messaging.dead_letters import storable
from registry_core.store.connections import Connection, Pool
from registry_core.values import File

from hallmark_ingestion.external.huggingface_import import Progress, Wanted
from hallmark_ingestion.external.lineage import Imported

DDL: Final = """
create table if not exists work.imports (
  id          uuid primary key,
  repository  text not null,
  revision    text not null,
  source      text not null default '',       -- the connected source that it comes through, if one was named
  endpoint    text not null,
  account     text not null,
  ref         text not null default '',       -- as asked for; as registered, once it is
  state       text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'refused')),
  commit      text,
  digest      text,
  files       integer,
  bytes       bigint,
  stored      jsonb not null default '{}',    -- files that are in the artifact store, by name
  reason      text,
  fix         text,
  asked_at    timestamptz not null default now(),
  changed_at  timestamptz not null default now()
);
alter table work.imports add column if not exists claims jsonb;   -- what card and configurations say
alter table work.imports add column if not exists lineage jsonb;  -- which named base models are linked, or why not
create index if not exists imports_by_time on work.imports (asked_at desc)"""


@dataclass(frozen=True, slots=True)
class Import:
    id: UUID
    wanted: Wanted
    source: str
    endpoint: str
    state: str
    stored: Mapping[str, File]


class Imports:
    def __init__(self, pool: Pool | Connection) -> None:
        self._pool = pool

    async def ask(self, made: UUID, wanted: Wanted, source: str, endpoint: str) -> None:
        """Once for each id."""
        await self._pool.execute(
            """insert into work.imports (id, repository, revision, source, endpoint, account, ref)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing""",
            made, wanted.repository, wanted.revision, source, endpoint, wanted.account, wanted.ref,
        )  # fmt: skip

    async def find(self, made: UUID) -> Import | None:
        row = await self._pool.fetchrow("select * from work.imports where id = $1", made)
        if row is None:
            return None
        wanted = Wanted(row["repository"], row["revision"], row["account"], row["ref"])
        stored = {name: File.model_validate(file) for name, file in json.loads(row["stored"]).items()}
        return Import(made, wanted, row["source"], row["endpoint"], row["state"], stored)

    async def document(self, made: UUID) -> dict[str, Any] | None:
        """One of them, with what its author claims."""
        query = f"select {_COLUMNS}, claims, lineage from work.imports where id = $1"
        row = await self._pool.fetchrow(query, made)
        if row is None:
            return None
        claims, lineage = (json.loads(row[name]) if row[name] else None for name in ("claims", "lineage"))
        return {**_document(row), "claims": claims, "lineage": lineage or []}

    async def listing(self, limit: int) -> list[dict[str, Any]]:
        """The newest first."""
        rows = await self._pool.fetch(f"select {_COLUMNS} from work.imports order by asked_at desc limit $1", limit)
        return [_document(row) for row in rows]

    def progress(self, known: Import) -> Progress:
        """What brings its row forward."""

        async def begin(commit: str, files: int, size: int) -> None:
            await self._pool.execute(
                """update work.imports set state = 'running', commit = $2, files = $3, bytes = $4, changed_at = now(),
                          stored = case when commit = $2 then stored else '{}' end where id = $1""",
                known.id, commit, files, size,
            )  # fmt: skip

        async def advance(file: File) -> None:
            await self._pool.execute(
                "update work.imports set stored = stored || $2::jsonb, changed_at = now() where id = $1",
                known.id, json.dumps({file.name: file.model_dump()}),
            )  # fmt: skip

        return Progress(known.stored, begin, advance)

    async def done(
        self, made: UUID, ref: str, digest: str, claims: Mapping[str, Any], lineage: Sequence[Mapping[str, Any]]
    ) -> None:
        await self._pool.execute(
            """update work.imports set state = 'done', ref = $2, digest = $3, claims = $4, lineage = $5, reason = null,
                      fix = null, changed_at = now() where id = $1""",
            made, ref, digest, json.dumps(claims), json.dumps(lineage),
        )  # fmt: skip

    async def imported(self, endpoint: str, repositories: Sequence[str]) -> list[Imported]:
        """The versions that commits of these repositories became here; of the same hub alone."""
        rows = await self._pool.fetch(
            """select distinct repository, commit, ref from work.imports
                where state = 'done' and endpoint = $1 and repository = any($2) order by repository, ref""",
            endpoint, repositories,
        )  # fmt: skip
        return [Imported(**row) for row in rows]

    async def refuse(self, made: UUID, reason: str, fix: str) -> None:
        await self._pool.execute(
            "update work.imports set state = 'refused', reason = $2, fix = $3, changed_at = now() where id = $1",
            made, storable(reason)[:4000], storable(fix)[:4000],
        )  # fmt: skip


_COLUMNS: Final = """id, repository, revision, source, endpoint, account, ref, state, commit, digest, files, bytes,
    reason, fix, asked_at, changed_at, (select count(*) from jsonb_object_keys(stored)) as files_stored,
    (select coalesce(sum((value ->> 'size')::bigint), 0)::bigint from jsonb_each(stored)) as bytes_stored"""


def _document(row: Any) -> dict[str, Any]:
    return {**dict(row), "id": str(row["id"])}
