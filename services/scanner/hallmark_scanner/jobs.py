"""The scanner's work: artifacts in a sandbox, SBOMs against advisories, provenance against trusted keys."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from registry_core.events import derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    ProvenanceVerified,
    VulnerabilityFound,
    VulnerabilityResolved,
)
from registry_core.handlers import Effect, Emit, Reader, load
from registry_core.messaging.jobs import JobFunction
from registry_core.objects import ObjectStorage
from registry_core.store.connections import Pool
from registry_core.version import Version

from hallmark_scanner import index
from hallmark_scanner.advisories import Advisory, Match, affected, parse_advisory
from hallmark_scanner.artifacts import SCANNER
from hallmark_scanner.handlers import MATCH_ADVISORY, MATCH_SBOM, SCAN, VERIFY_PROVENANCE
from hallmark_scanner.provenance import verify_provenance
from hallmark_scanner.sandbox import scan_in_sandbox
from hallmark_scanner.sbom import Component, SbomError, read_sbom

MOST_FINDINGS = 100
"""Findings of one file that go into its event; a file with more is malicious or for review anyhow."""
Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScannerJobs:
    """The scanner's job functions, around the artifact store and the scanner's own tables."""

    pool: Pool
    objects: ObjectStorage

    def functions(self) -> dict[str, JobFunction]:
        """By the kinds that the handlers start."""
        return {
            SCAN: self.scan,
            MATCH_SBOM: self.match_sbom,
            MATCH_ADVISORY: self.match_advisory,
            VERIFY_PROVENANCE: self.verify,
        }

    async def scan(self, payload: Payload, reader: Reader) -> Sequence[Effect]:
        """Scan one stored file in a process of its own."""
        with tempfile.TemporaryDirectory(prefix="hallmark-scan-") as folder:
            path = Path(folder) / "artifact"
            await self.objects.download(payload["digest"], path)
            report = await scan_in_sandbox(path, payload["file"])
        scanned = ArtifactScanned(
            ref=payload["ref"], file=payload["file"], digest=payload["digest"], scanner=SCANNER, verdict=report.verdict,
            read_completely=report.read_completely, findings=report.findings[:MOST_FINDINGS],
            isolation=report.isolation,
        )  # fmt: skip
        return [Emit(payload["ref"], [scanned])]

    async def match_sbom(self, payload: Payload, reader: Reader) -> Sequence[Effect]:
        """Read an SBOM, index its components, and match them against every advisory known."""
        ref, digest = payload["ref"], payload["digest"]
        try:
            sbom = read_sbom(await self.objects.get(digest))
        except SbomError as error:
            return [Emit(ref, [_unreadable(ref, digest, error)])]
        await index.replace_components(self.pool, ref, digest, sbom.components)
        advisories = await index.advisories_about(self.pool, sbom.components)
        matches = await asyncio.to_thread(_matches, advisories, sbom.components)
        version = await load(reader, Version(), ref)
        outcome = DependenciesScanned(
            ref=ref, sbom_digest=digest, format=f"{sbom.format} {sbom.spec_version}", components=len(sbom.components),
            vulnerable=len(matches),
        )  # fmt: skip
        return [*(_found(ref, digest, match) for match in matches), *_gone(version, matches), Emit(ref, [outcome])]

    async def match_advisory(self, payload: Payload, reader: Reader) -> Sequence[Effect]:
        """Find every registered version that an advisory speaks of, by index; one event for each."""
        document = await self.objects.get(payload["digest"])
        advisory = parse_advisory(document)
        await index.put_advisory(self.pool, advisory, document)
        used = await index.users_of(self.pool, advisory.id)
        effects: list[Effect] = []
        for ref, uses, matches in await asyncio.to_thread(_matches_by_ref, advisory, used):
            effects += [_found(ref, sbom_digest, match) for sbom_digest, match in matches]
            if len(matches) < len(uses):
                version = await load(reader, Version(), ref)
                effects += _gone(version, [match for _, match in matches], advisory.id)
        return effects

    async def verify(self, payload: Payload, reader: Reader) -> Sequence[Effect]:
        """Verify a provenance statement against the version's digests and the trusted keys."""
        if not await index.keys_are_current(self.pool):
            raise TimeoutError("signing keys are still being taken in; the job comes again")
        version = await load(reader, Version(), payload["ref"])
        outcome = verify_provenance(
            await self.objects.get(payload["digest"]),
            version_digest=version.digest,
            files={file.name: file.digest for file in version.files},
            trusted=await index.trusted_keys(self.pool),
        )
        verified = ProvenanceVerified(
            ref=payload["ref"], evidence_digest=payload["digest"], verified=outcome.verified, builder=outcome.builder,
            key_id=outcome.key_id, problem=outcome.problem,
        )  # fmt: skip
        return [Emit(payload["ref"], [verified])]


def _unreadable(ref: str, digest: str, error: SbomError) -> DependenciesScanned:
    return DependenciesScanned(
        ref=ref, sbom_digest=digest, format="unreadable", components=0, vulnerable=0, problem=str(error)[:1000]
    )


def _matches(advisories: Sequence[Advisory], components: Sequence[Component]) -> list[Match]:
    """Runs in a thread: comparing versions takes time that other requests must not wait for."""
    return [match for component in components for a in advisories if (match := affected(a, component))]


def _matches_by_ref(
    advisory: Advisory, uses: Sequence[index.Use]
) -> list[tuple[str, list[index.Use], list[tuple[str, Match]]]]:
    """Each version's uses of the named packages, and those that match with the SBOM they stand in. In a thread, too."""
    by_ref = groupby(sorted(uses, key=lambda use: use.ref), key=lambda use: use.ref)
    groups = [(ref, list(group)) for ref, group in by_ref]
    return [
        (ref, group, [(use.sbom_digest, match) for use in group if (match := affected(advisory, use.component))])
        for ref, group in groups
    ]


def _found(ref: str, sbom_digest: str, match: Match) -> Emit:
    """The same finding from an SBOM and from an advisory has one id, so it is recorded once.

    A newer document of the advisory makes it another finding: worse, or back after it was withdrawn.
    """
    summary = match.summary if match.status == "affected" else f"could not be decided ({match.reason}): {match.summary}"
    event = VulnerabilityFound(
        ref=ref, advisory=match.advisory, aliases=match.aliases, component=match.component, severity=match.severity,
        score=match.score, summary=summary[:1000], fixed_in=match.fixed_in,
    )  # fmt: skip
    finding = (sbom_digest, match.advisory, match.modified.isoformat(), match.component)
    return Emit(ref, [event], ids=[derived_id(NAMESPACE, "found", ref, *finding)])


def _gone(version: Version, matches: Iterable[Match], advisory: str | None = None) -> list[Effect]:
    """Open vulnerabilities (of one advisory, if named) that no longer match."""
    still = {(match.advisory, match.component) for match in matches}
    reason = "the advisory was changed or withdrawn" if advisory else "the newest SBOM does not hold the component"
    return [
        Emit(version.ref, [VulnerabilityResolved(ref=version.ref, advisory=a, component=c, reason=reason)])
        for a, c in version.vulnerabilities
        if (a, c) not in still and advisory in (None, a)
    ]
