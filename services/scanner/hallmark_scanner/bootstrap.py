"""Puts the scanner together."""

from registry_core.events.evidence import EvidenceAttached
from registry_core.events.governance import AdvisoryPublished, SigningKeyRegistered
from registry_core.events.versions import ArtifactStored
from registry_core.service import Platform, Service

from hallmark_scanner.handlers import check_evidence, match_published_advisory, scan_stored_artifact, trust_key
from hallmark_scanner.index import DDL
from hallmark_scanner.jobs import ScannerJobs
from hallmark_scanner.routes import ROUTES


def build(platform: Platform) -> Service:
    """The scanner service."""
    return Service(
        name="scanner",
        routes=ROUTES,
        handlers={
            ArtifactStored: scan_stored_artifact,
            EvidenceAttached: check_evidence,
            AdvisoryPublished: match_published_advisory,
            SigningKeyRegistered: trust_key,
        },
        jobs=ScannerJobs(platform.pool, platform.objects).functions(),
        ddl=DDL,
    )
