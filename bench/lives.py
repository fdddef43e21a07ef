"""Events as a registry has them: the life of a version from registration to approval, made fast and from a seed.

Each kind of event is encoded once, with a placeholder for what differs between versions; a version's own events are
made by replacing it. So a log of millions of events decodes, folds and projects like a real one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count as counting
from itertools import islice
from random import Random
from typing import NamedTuple
from uuid import UUID

from registry_core.events import Event, NewEvent, Origin, decode
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    MetricResult,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.lifecycle import VersionApproved, VersionBecameCandidate
from registry_core.events.promotions import PromotionClosed, PromotionOpened
from registry_core.events.versions import ArtifactStored, VersionRegistered
from registry_core.values import EvidenceType as Kind
from registry_core.values import File, Metadata, Mitigation, RiskTier, Severity, UseContext

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBER = "000000000"
_REF = f"model:bench-{_NUMBER}@1.0.0"
_PROMOTION = f"bench-{_NUMBER}"
_DIGESTS = tuple(f"sha256:{digit * 64}" for digit in "abcdef")
_CONTEXT = UseContext(business_function="lending", data_class="internal", region="eu")


class Row(NamedTuple):
    """An event as `log.events` takes it, but for what the database adds."""

    stream: str
    version: int
    id: UUID
    type: str
    body: bytes
    actor: str
    occurred_at: datetime
    correlation_id: UUID


def stream_of(number: int) -> str:
    return f"model:bench-{number:09}@1.0.0"


def life(number: int, random: Random) -> list[Row]:
    """Every event of one version, a second after the one before it in `rows`."""
    correlation = UUID(int=random.getrandbits(128), version=4)
    return [
        Row(
            stream_of(number), version, UUID(int=random.getrandbits(128), version=4), event_type,
            body.replace(_NUMBER.encode(), b"%09d" % number), _ACTORS[version % len(_ACTORS)],
            _time_of(number, version), correlation,
        )
        for version, (event_type, body) in enumerate(_ENCODED)
    ]  # fmt: skip


def rows(count: int, seed: int, first: int = 0) -> Iterator[Row]:
    """`count` events of the versions from number `first` on, ten versions being alive at a time."""
    return islice(_endless(Random(seed), first), count)


def _endless(random: Random, first: int) -> Iterator[Row]:
    for number in counting(first, _ALIVE):
        for step in zip(*(life(n, random) for n in range(number, number + _ALIVE)), strict=True):
            yield from step


def _time_of(number: int, version: int) -> datetime:
    place = number // _ALIVE * _ALIVE * len(LIFE) + version * _ALIVE + number % _ALIVE
    return BEGINNING + timedelta(seconds=place)


def new_event(row: Row) -> NewEvent:
    """As the public API takes it."""
    origin = Origin(actor=row.actor, occurred_at=row.occurred_at, correlation_id=row.correlation_id)
    return NewEvent(id=row.id, data=decode(row.type, row.body), origin=origin)


_ALIVE = 10
_ACTORS = ("ci", "dana", "service:scanner", "service:evaluator")


def _evidence(kind: Kind, media_type: str, size: int, digest: str) -> EvidenceAttached:
    return EvidenceAttached(
        ref=_REF, evidence_type=kind, digest=digest, media_type=media_type, size=size, subject_digest=_DIGESTS[0],
        attached_by="ci",
    )  # fmt: skip


_METADATA = Metadata(
    owner="dana",
    backup_owner="lee",
    escalation="ml-platform@example.org",
    purpose="Estimates the probability that a loan is repaid",
    allowed_uses=("credit decisions with a person in the loop",),
    prohibited_uses=("employment decisions",),
    licence="Apache-2.0",
    risk_tier=RiskTier.HIGH,
    mitigations=(Mitigation(risk="bias against small groups", control="quarterly review of approval rates"),),
    source_repository="https://git.example.org/lending/credit-risk",
    source_commit="0123456789abcdef0123456789abcdef01234567",
    deployment_targets=("production",),
)
_METRICS = tuple(
    MetricResult(metric=name, value=value, threshold=least, direction="at_least", passed=True)
    for name, value, least in (("auc", 0.91, 0.85), ("accuracy", 0.88, 0.8), ("parity", 0.97, 0.9))
)

LIFE: tuple[Event, ...] = (
    VersionRegistered(
        ref=_REF,
        digest=_DIGESTS[0],
        files=(File(name="model.safetensors", digest=_DIGESTS[0], size=104_857_600),),
        format="safetensors",
        metadata=_METADATA,
        registered_by="ci",
    ),
    ArtifactStored(
        ref=_REF,
        file=File(name="model.safetensors", digest=_DIGESTS[0], size=104_857_600),
        uri=f"s3://models/{_DIGESTS[0]}",
    ),
    _evidence(Kind.SBOM, "application/vnd.cyclonedx+json", 48_211, _DIGESTS[1]),
    _evidence(Kind.PROVENANCE, "application/vnd.in-toto+json", 3_120, _DIGESTS[2]),
    _evidence(Kind.EVALUATION, "application/json", 9_954, _DIGESTS[3]),
    ArtifactScanned(
        ref=_REF,
        file="model.safetensors",
        digest=_DIGESTS[0],
        scanner="hallmark-scanner/1",
        verdict="clean",
        read_completely=True,
    ),
    DependenciesScanned(ref=_REF, sbom_digest=_DIGESTS[1], format="cyclonedx", components=212, vulnerable=1),
    VulnerabilityFound(
        ref=_REF,
        advisory="GHSA-0000-1111-2222",
        aliases=("CVE-2026-0001",),
        component="pkg:pypi/example@1.2.3",
        severity=Severity.MEDIUM,
        score=5.3,
        summary="A parser reads past the end of its input",
        fixed_in="1.2.4",
    ),
    ProvenanceVerified(
        ref=_REF, evidence_digest=_DIGESTS[2], verified=True, builder="https://ci.example.org/builder", key_id="ci-1"
    ),
    EvaluationAssessed(
        ref=_REF,
        evidence_digest=_DIGESTS[3],
        suite="credit",
        passed=True,
        results=_METRICS,
        evaluated_at=BEGINNING,
        valid_days=90,
    ),
    PromotionOpened(ref=_REF, promotion=_PROMOTION),
    VersionBecameCandidate(ref=_REF, promotion=_PROMOTION),
    VersionApproved(
        ref=_REF,
        promotion=_PROMOTION,
        context=_CONTEXT,
        environment="production",
        expires_at=BEGINNING + timedelta(days=90),
        decision_digest=_DIGESTS[4],
    ),
    PromotionClosed(ref=_REF, promotion=_PROMOTION, outcome="approved"),
)
"""One version's own stream: fourteen events of all sizes."""

_ENCODED = tuple((event.type, event.encode()) for event in LIFE)
