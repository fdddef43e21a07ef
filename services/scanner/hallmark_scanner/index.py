"""The scanner's own tables: who uses which package, which advisory names it, whose provenance is trusted.

All of it can be rebuilt from the log. Writers commit before they match, so that of an SBOM and an advisory arriving at
the same time at least one sees the other; both finding a match is harmless, for its event id is the same.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry_core.store.connections import Pool

from hallmark_scanner.advisories import Advisory, lookup_key, parse_advisory
from hallmark_scanner.sbom import Component
from hallmark_scanner.versions import bare_key, package_key

DDL = """
create table if not exists work.scanner_components (
  ref text not null, sbom_digest text not null, package text not null,
  name text not null, version text, purl text, type text not null
);
create index if not exists scanner_components_by_package on work.scanner_components (package);
create index if not exists scanner_components_by_ref on work.scanner_components (ref);
create table if not exists work.scanner_advisories (
  advisory text primary key, modified timestamptz not null, document bytea not null
);
create table if not exists work.scanner_advisory_packages (
  package text not null, advisory text not null references work.scanner_advisories on delete cascade,
  primary key (package, advisory)
);
create table if not exists work.scanner_keys (key_id text primary key, public_key text not null);
"""


@dataclass(frozen=True, slots=True)
class Use:
    """A component of one version's SBOM."""

    ref: str
    sbom_digest: str
    component: Component


async def replace_components(pool: Pool, ref: str, sbom_digest: str, components: Sequence[Component]) -> None:
    """The version's components are now these."""
    rows = [(ref, sbom_digest, lookup_key(c), c.name, c.version, c.purl, c.type) for c in components]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("delete from work.scanner_components where ref = $1", ref)
        await connection.copy_records_to_table(
            "scanner_components", schema_name="work", records=rows,
            columns=["ref", "sbom_digest", "package", "name", "version", "purl", "type"],
        )  # fmt: skip


async def put_advisory(pool: Pool, advisory: Advisory, document: bytes) -> None:
    """Keep the newest document of an advisory, and index the packages it names."""
    packages = [entry.package for entry in advisory.affected if entry.package]
    # By bare name as well: a component without an ecosystem is looked up by that alone.
    keys = sorted({key for p in packages for key in (package_key(p.ecosystem, p.name), bare_key(p.name))})
    async with pool.acquire() as connection, connection.transaction():
        status = await connection.execute(
            """insert into work.scanner_advisories as a values ($1, $2, $3)
               on conflict (advisory) do update set document = excluded.document, modified = excluded.modified
               where a.modified <= excluded.modified""", advisory.id, advisory.modified, document,
        )  # fmt: skip
        if status.endswith(" 0"):  # a newer one is there: this job comes late
            return
        await connection.execute("delete from work.scanner_advisory_packages where advisory = $1", advisory.id)
        await connection.execute(
            "insert into work.scanner_advisory_packages select unnest($2::text[]), $1", advisory.id, keys
        )


async def advisories_about(pool: Pool, components: Sequence[Component]) -> list[Advisory]:
    """Every advisory that names one of these packages, in one query."""
    rows = await pool.fetch(
        """select document from work.scanner_advisories where advisory in
             (select advisory from work.scanner_advisory_packages where package = any($1))""",
        sorted({lookup_key(component) for component in components}),
    )
    return [parse_advisory(row["document"]) for row in rows]


async def users_of(pool: Pool, advisory: str) -> list[Use]:
    """Components of registered versions whose package the advisory names, in one query."""
    rows = await pool.fetch(
        """select c.* from work.scanner_components c join work.scanner_advisory_packages p using (package)
            where p.advisory = $1""",
        advisory,
    )
    return [
        Use(r["ref"], r["sbom_digest"], Component(name=r["name"], version=r["version"], purl=r["purl"], type=r["type"]))
        for r in rows
    ]


async def keys_are_current(pool: Pool) -> bool:
    """Whether every key registered so far is in the table: identity and evidence travel in different topics."""
    behind: int = await pool.fetchval(
        """select count(*) from log.partition_heads h left join work.watermarks w
             on w.consumer = 'scanner' and w.topic = h.topic and w.partition = h.partition
            where h.topic = 'registry.identity' and h.log_index > coalesce(w.log_index, -1)"""
    )
    return behind == 0


async def trusted_keys(pool: Pool) -> dict[str, Ed25519PublicKey]:
    """The keys whose provenance counts, by key id."""
    rows = await pool.fetch("select key_id, public_key from work.scanner_keys")
    return {r["key_id"]: Ed25519PublicKey.from_public_bytes(base64.b64decode(r["public_key"])) for r in rows}
