"""Every event of a version as one short sentence for a person, with its tone. Texts are as they came in, unescaped."""

import json
from typing import Literal

from registry_core.events import Event
from registry_core.events.aliases import AliasMoved, AliasRemoved
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    ProvenanceVerified,
    VulnerabilityFound,
    VulnerabilityResolved,
)
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    DeploymentProvisioned,
    ExceptionExpired,
    ExceptionGranted,
    ExceptionRequested,
    OwnerWarned,
    ProvisioningFailed,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionApproved,
    VersionBecameCandidate,
    VersionDeprecated,
    VersionReinstated,
    VersionRetired,
    VersionReturnedToDraft,
    VersionSuspended,
)
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
    ReviewRecorded,
    ReviewRefused,
)
from registry_core.events.sources import Difference, ExternalDriftDetected, ExternalVersionImported
from registry_core.events.versions import (
    ArtifactStored,
    DependantAdded,
    DependencyChanged,
    MetadataAmended,
    VersionRegistered,
)
from registry_core.values import EvidenceType

Tone = Literal["good", "bad", "neutral"]
Sentence = tuple[str, Tone]
SHOWN = 80
"""Characters of a value that differs."""
LIMIT = 400
"""Characters; the whole event is in the row's details."""


def describe(data: Event) -> Sentence:
    """What happened, in at most LIMIT characters; an event of a type not named here is called by its type."""
    named = (part(data) for part in (_content, _checks, _promotion, _review, _state, _duty, _elsewhere))
    text, tone = next(filter(None, named), (data.type, "neutral"))
    return (text if len(text) <= LIMIT else f"{text[: LIMIT - 1]}…"), tone


def _content(data: Event) -> Sentence | None:
    match data:
        case VersionRegistered(files=files):
            return f"Registered as a draft with {_count(len(files), 'file')}", "neutral"
        case MetadataAmended():
            return "Metadata amended", "neutral"
        case ArtifactStored(file=file):
            return f"{file.name} stored, digest verified", "good"
        case EvidenceAttached(evidence_type=kind):
            name = "SBOM" if kind == EvidenceType.SBOM else kind.value.replace("_", " ")
            return f"Evidence attached: {name}", "neutral"
        case DependencyChanged():
            return f"{data.dependency} was superseded by {data.newer}; evaluations speak of the old one", "bad"
        case AliasMoved(alias=alias, before=before):
            return f"Became {alias}{f' in place of {before}' if before else ''}: {data.reason}", "neutral"
        case AliasRemoved(alias=alias):
            return f"Is {alias} no longer: {data.reason}", "neutral"
        case DependantAdded(dependant=dependant):
            return f"{dependant} was registered as depending on this version", "neutral"
        case _:
            return None


def _checks(data: Event) -> Sentence | None:
    match data:
        case ArtifactScanned():
            return _scan(data)
        case DependenciesScanned(problem=str(problem)):
            return f"SBOM could not be used: {problem}", "bad"
        case DependenciesScanned():
            tone: Tone = "bad" if data.vulnerable else "good"
            return f"SBOM matched: {_count(data.components, 'component')}, {data.vulnerable} vulnerable", tone
        case VulnerabilityFound():
            fixed = f", fixed in {data.fixed_in}" if data.fixed_in else ""
            return f"{data.advisory} ({data.severity.value}) found in {data.component}{fixed}", "bad"
        case VulnerabilityResolved():
            return f"{data.advisory} resolved in {data.component}: {data.reason}", "good"
        case ProvenanceVerified(verified=True):
            return f"Provenance verified{f', built by {data.builder}' if data.builder else ''}", "good"
        case ProvenanceVerified():
            return f"Provenance not verified: {data.problem or 'no reason was given'}", "bad"
        case EvaluationAssessed():
            return _evaluation(data)
        case _:
            return None


def _scan(data: ArtifactScanned) -> Sentence:
    if data.verdict == "clean" and data.read_completely:
        return f"{data.file} scanned: clean", "good"
    part = "" if data.read_completely else ", not read completely"
    found = f", {_count(len(data.findings), 'finding')}" if data.findings else ""
    return f"{data.file} scanned: {data.verdict}{part}{found}", "bad"


def _evaluation(data: EvaluationAssessed) -> Sentence:
    if data.problem:
        return f"Evaluation {data.suite} could not be assessed: {data.problem}", "bad"
    met = sum(result.passed for result in data.results)
    text = f"{met} of {_count(len(data.results), 'metric')} within thresholds"
    return f"Evaluation {data.suite} {'passed' if data.passed else 'failed'}: {text}", "good" if data.passed else "bad"


def _promotion(data: Event) -> Sentence | None:
    match data:
        case PromotionRequested():
            urgent = ", expedited" if data.expedite else ""
            return f"Promotion to {data.environment} for {data.context} requested{urgent}", "neutral"
        case PromotionOpened():
            return "Automated audit started", "neutral"
        case PolicyEvaluated():
            passed = sum(result.outcome in ("pass", "excepted") for result in data.results)
            tone: Tone = "good" if data.passed else "bad"
            return f"Policy {data.policy}: {passed} of {_count(len(data.results), 'rule')} hold", tone
        case PromotionRefused(reasons=reasons):
            return f"Promotion refused: {'; '.join(r.title for r in reasons) or 'no reason was recorded'}", "bad"
        case PromotionApproved():
            return f"Promotion to {data.environment} approved, decision signed", "good"
        case PromotionRejected():
            return f"Promotion rejected by {data.reviewer} ({data.role}){_because(data.comment)}", "bad"
        case PromotionClosed(outcome=outcome):
            return f"Promotion closed: {outcome}", "good" if outcome == "approved" else "bad"
        case _:
            return None


_VERBS = {"approve": "approved", "reject": "rejected", "remediate": "asked for remediation"}


def _review(data: Event) -> Sentence | None:
    match data:
        case ReviewOpened(roles=roles):
            return f"Review opened for {_listed(roles) or 'no role'}", "neutral"
        case ReviewRefused():
            return f"Review by {data.reviewer} as {data.role} does not count: {data.reason.title}", "bad"
        case ReviewRecorded():
            text = f"{data.reviewer} {_VERBS[data.outcome]} as {data.role} reviewer{_because(data.comment)}"
            return text, "good" if data.outcome == "approve" else "bad"
        case _:
            return None


def _state(data: Event) -> Sentence | None:
    match data:
        case VersionBecameCandidate():
            return "Became a candidate: the audit passed", "good"
        case VersionReturnedToDraft(cause=cause):
            return f"Returned to draft: {cause}", "bad"
        case VersionApproved():
            return f"Approved for {data.context} in {data.environment} until {data.expires_at:%Y-%m-%d}", "good"
        case ApprovalExpired():
            return f"Approval for {data.context} expired", "bad"
        case ApprovalVoided(cause=cause):
            return f"Approval voided: {cause}", "bad"
        case VersionDeprecated(replacement=replacement):
            instead = f", replaced by {replacement}" if replacement else ""
            return f"Deprecated{instead}: {data.cause}", "bad"
        case VersionRetired(cause=cause):
            return f"Retired: {cause}", "neutral"
        case VersionSuspended(cause=cause):
            return f"Suspended: {cause}", "bad"
        case VersionReinstated(cause=cause):
            return f"Reinstated: {cause}", "good"
        case _:
            return None


def _duty(data: Event) -> Sentence | None:
    match data:
        case RemediationClockStarted():
            return f"{data.owner} has until {data.due:%Y-%m-%d %H:%M} UTC to mend {data.finding}", "bad"
        case RemediationClockStopped():
            return f"Clock on {data.finding} stopped: {data.cause}", "good"
        case OwnerWarned():
            return f"{data.owner} was warned: {data.subject}", "neutral"
        case DeploymentProvisioned():
            return f"Provisioned to {data.environment} ({data.target})", "good"
        case ProvisioningFailed():
            return f"Provisioning to {data.target} failed: {data.reason}", "bad"
        case ExceptionRequested():
            scope = f" ({data.finding})" if data.finding else ""
            return f"Exception to {data.rule}{scope} requested: {data.reason}", "neutral"
        case ExceptionGranted():
            return f"Exception granted by {data.granted_by}", "neutral"
        case ExceptionExpired():
            return "Exception expired", "neutral"
        case _:
            return None


def _elsewhere(data: Event) -> Sentence | None:
    match data:
        case ExternalDriftDetected(difference=found):
            return f"In {data.source} {data.object}: {_changed(found)}, and nobody announced it", "bad"
        case ExternalVersionImported():
            return f"Imported from {data.source}: {data.object}, {_external(data.version)}", "neutral"
        case _:
            return None


def _changed(found: Difference) -> str:
    """`tag team went from a to b`; of a thing that came or went, the thing alone."""
    if isinstance(found.before, dict) or isinstance(found.after, dict):
        return f"{found.aspect} {'is gone' if found.after is None else 'is new'}"
    if found.before is None:
        return f"{found.aspect} became {_shown(found.after)}"
    if found.after is None:
        return f"{found.aspect}, which was {_shown(found.before)}, is gone"
    return f"{found.aspect} went from {_shown(found.before)} to {_shown(found.after)}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _external(version: str) -> str:
    """MLflow counts its versions; a hub's are commits."""
    return f"version {version}" if version.isdecimal() else f"commit {version[:12]}"


def _because(comment: str) -> str:
    return f": {comment}" if comment else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
