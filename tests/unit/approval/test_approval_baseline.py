"""The baseline pack: what it lets pass, and what each rule tells a person when it alone fails."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hallmark_approval.policy import Facts, Pack, evaluate
from hallmark_approval.policy.facts import (
    DependencyFacts,
    EvaluationFacts,
    FileFacts,
    FindingFacts,
    ProvenanceFacts,
    SbomFacts,
    ScanFacts,
    VulnerabilityFacts,
)
from registry_core.events.promotions import RuleResult
from registry_core.values import State, UseContext

MakeFacts = Callable[..., Facts]
SHA = "sha256:" + "a" * 64
REQUESTS = "pkg:pypi/requests@2.19.0"


def failing(results: Iterable[RuleResult]):
    return {r.rule: r for r in results if r.outcome != "pass"}


def spoilt_version(make_facts: MakeFacts, **changed: Any):
    return make_facts().version.model_copy(update=changed)


@pytest.mark.parametrize("kind", ["model", "adapter", "prompt", "dataset", "code"])
def test_a_complete_version_of_every_kind_passes(baseline: Pack, make_facts: MakeFacts, kind: str):
    evaluation = evaluate(baseline, make_facts(kind))
    assert failing(evaluation.results) == {}
    assert evaluation.passed
    assert evaluation.review_roles == ("platform", "product", "security")
    assert evaluation.expires_after.days == 90


class Broken(NamedTuple):
    """A rule, facts that break it alone, and what its refusal must say."""

    rule: str
    spoil: Callable[[MakeFacts], dict[str, Any]]
    evidence: str | None
    owner: str
    fix: str


BROKEN = [
    pytest.param(
        Broken(
            "state-promotable",
            lambda make: {"version": spoilt_version(make, state=State.RETIRED)},
            "version.state = retired",
            "olga",
            "register a new version in place of model:credit-risk@1.0.0 and request its promotion",
        ),
        id="retired",
    ),
    pytest.param(
        Broken(
            "metadata-complete",
            lambda make: {"metadata": {"purpose": None, "retire_on": None}},
            "metadata.missing = purpose, retire_on",
            "olga",
            "amend the metadata of model:credit-risk@1.0.0 with purpose, retire_on",
        ),
        id="metadata",
    ),
    pytest.param(
        Broken(
            "artifact-stored",
            lambda make: {"version": spoilt_version(make, files=(FileFacts(name="w.bin", digest=SHA, stored=True),))},
            f"w.bin {SHA}",
            "rita",
            f"upload w.bin ({SHA})",
        ),
        id="unverified file",
    ),
    pytest.param(
        Broken(
            "artifact-stored",
            lambda make: {"version": spoilt_version(make, files=())},
            f"version.digest = {SHA}",
            "rita",
            "register a version that has files",
        ),
        id="no files",
    ),
    pytest.param(
        Broken(
            "scan-clean",
            lambda make: {
                "scan": ScanFacts(
                    verdict="malicious",
                    complete=True,
                    files_scanned=1,
                    files_total=1,
                    findings=(
                        FindingFacts(
                            rule="pickle-global",
                            severity="critical",
                            location="model.pkl",
                            message="os.system",
                            fix="save the weights as safetensors",
                        ),
                    ),
                )
            },
            "pickle-global in model.pkl",
            "rita",
            "save the weights as safetensors",
        ),
        id="malicious",
    ),
    pytest.param(
        Broken(
            "scan-clean",
            lambda make: {"scan": ScanFacts(verdict="clean", complete=False, files_scanned=1, files_total=1)},
            "scan.verdict = clean",
            "rita",
            "register a version whose files the scanner can read completely, e.g. weights as safetensors",
        ),
        id="not fully read",
    ),
    pytest.param(
        Broken(
            "scan-clean",
            lambda make: {"scan": ScanFacts()},
            "scan.verdict = none",
            "platform",
            "wait for the scan, or run it again",
        ),
        id="never scanned",
    ),
    pytest.param(
        Broken(
            "sbom-present",
            lambda make: {"sbom": SbomFacts()},
            "sbom.digest = none",
            "rita",
            "attach a CycloneDX or SPDX SBOM of model:credit-risk@1.0.0",
        ),
        id="no SBOM",
    ),
    pytest.param(
        Broken(
            "sbom-present",
            lambda make: {"sbom": SbomFacts(present=True, digest=SHA, components=3, problem="not JSON")},
            f"sbom.digest = {SHA}",
            "rita",
            "attach a corrected CycloneDX or SPDX SBOM of model:credit-risk@1.0.0",
        ),
        id="unreadable SBOM",
    ),
    pytest.param(
        Broken(
            "provenance-verified",
            lambda make: {"provenance": ProvenanceFacts()},
            "provenance.present = no",
            "rita",
            f"attach a SLSA v1 provenance statement for {SHA}",
        ),
        id="no provenance",
    ),
    pytest.param(
        Broken(
            "provenance-verified",
            lambda make: {"provenance": ProvenanceFacts(present=True, problem="signed by an unknown key")},
            "provenance.verified = no",
            "rita",
            f"sign the provenance again with a trusted builder key, for {SHA}",
        ),
        id="unverified provenance",
    ),
    pytest.param(
        Broken(
            "no-critical-vulnerability",
            lambda make: {
                "vulnerabilities": (
                    VulnerabilityFacts(
                        advisory="GHSA-x84v", component=REQUESTS, severity="critical", score=9.8, fixed_in="2.32.0"
                    ),
                )
            },
            f"GHSA-x84v in {REQUESTS}",
            "olga",
            f"upgrade {REQUESTS} to 2.32.0 or later; or request an exception that says why it is not affected",
        ),
        id="critical with a fix",
    ),
    pytest.param(
        Broken(
            "no-critical-vulnerability",
            lambda make: {
                "vulnerabilities": (VulnerabilityFacts(advisory="GHSA-1", component=REQUESTS, severity="critical"),)
            },
            f"GHSA-1 in {REQUESTS}",
            "olga",
            f"replace {REQUESTS}; or request an exception that says why it is not affected",
        ),
        id="critical without a fix",
    ),
    pytest.param(
        Broken(
            "evaluations-passed",
            lambda make: {"evaluations": ()},
            None,
            "olga",
            "run the evaluation of the high risk tier and attach the report",
        ),
        id="no evaluation",
    ),
    pytest.param(
        Broken(
            "evaluations-passed",
            lambda make: {
                "evaluations": (
                    EvaluationFacts(
                        suite="bias", passed=False, age_days=1, valid_days=90, failures=("parity 0.7 is below 0.8",)
                    ),
                )
            },
            "bias failed",
            "olga",
            "mend what failed, then run again and attach the report of bias",
        ),
        id="failed evaluation",
    ),
    pytest.param(
        Broken(
            "evaluations-fresh",
            lambda make: {"evaluations": (EvaluationFacts(suite="quality", passed=True, age_days=91, valid_days=365),)},
            "quality, 91 days old",
            "olga",
            "re-run the evaluation and attach the report of quality",
        ),
        id="old evaluation",
    ),
    pytest.param(
        Broken(
            "evaluations-fresh",
            lambda make: {"evaluations": (EvaluationFacts(suite="quality", passed=True, age_days=8, valid_days=7),)},
            "quality, 8 days old",
            "olga",
            "re-run the evaluation and attach the report of quality",
        ),
        id="past its own validity",
    ),
    pytest.param(
        Broken(
            "licence-allowed",
            lambda make: {"metadata": {"licence": "GPL-3.0-only AND MIT"}},
            "metadata.licence = GPL-3.0-only AND MIT",
            "olga",
            "use a base, data and code under one of 0BSD, Apache-2.0,",
        ),
        id="licence",
    ),
    pytest.param(
        Broken(
            "use-allowed",
            lambda make: {"context": UseContext(business_function="marketing")},
            "metadata.allowed_uses = credit-scoring, fraud/internal",
            "olga",
            "request promotion for an allowed use, or amend allowed_uses with marketing",
        ),
        id="use not allowed",
    ),
    pytest.param(
        Broken(
            "use-allowed",
            lambda make: {
                "metadata": {"allowed_uses": ("employment",)},
                "context": UseContext(business_function="employment"),
            },
            "metadata.prohibited_uses = employment",
            "olga",
            "request promotion for another use than employment",
        ),
        id="use prohibited",
    ),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_each_rule_alone_refuses_with_its_evidence_owner_and_fix(baseline: Pack, make_facts: MakeFacts, broken: Broken):
    evaluation = evaluate(baseline, make_facts(**broken.spoil(make_facts)))
    assert not evaluation.passed
    assert list(failing(evaluation.results)) == [broken.rule]
    result = failing(evaluation.results)[broken.rule]
    assert (result.outcome, result.mode, result.owner) == ("fail", "enforce", broken.owner)
    assert broken.evidence is None or broken.evidence in result.evidence
    assert result.title
    assert result.detail
    assert result.fix.startswith(broken.fix)


def test_every_enforced_rule_is_shown_to_fail(baseline: Pack):
    enforced = {r.id for r in baseline.document.rules if r.mode == "enforce"}
    assert enforced == {case.values[0].rule for case in BROKEN}


def test_a_changed_prompt_asks_for_an_evaluation_with_the_new_one(baseline: Pack, make_facts: MakeFacts):
    stale = EvaluationFacts(
        suite="quality",
        passed=True,
        age_days=3,
        valid_days=90,
        stale_because="prompt:answer@1.1.0 replaced prompt:answer@1.0.0",
    )
    newer = DependencyFacts(ref="prompt:answer@1.0.0", newer="prompt:answer@1.1.0")
    evaluation = evaluate(baseline, make_facts(evaluations=(stale,), dependencies=(newer,)))
    found = failing(evaluation.results)
    assert set(found) == {"evaluations-fresh", "dependencies-current"}
    assert found["evaluations-fresh"].fix == (
        "re-run the evaluation with prompt:answer@1.1.0 and attach the report of quality"
    )
    assert "prompt:answer@1.1.0 replaced" in found["evaluations-fresh"].detail


def test_warnings_and_observations_are_told_but_do_not_refuse(baseline: Pack, make_facts: MakeFacts):
    high = VulnerabilityFacts(advisory="CVE-1", component=REQUESTS, severity="high", fixed_in="2.20.0")
    unrated = VulnerabilityFacts(advisory="CVE-2", component="pkg:pypi/x@1", severity="unknown")
    newer = DependencyFacts(ref="prompt:answer@1.0.0", newer="prompt:answer@1.1.0")
    evaluation = evaluate(baseline, make_facts(vulnerabilities=(high, unrated), dependencies=(newer,)))
    found = failing(evaluation.results)
    assert {r.rule: r.mode for r in found.values()} == {
        "no-high-vulnerability": "warn",
        "dependencies-current": "observe",
    }
    assert found["no-high-vulnerability"].fix == f"upgrade {REQUESTS} to 2.20.0 or later, replace pkg:pypi/x@1"
    assert evaluation.passed


@pytest.mark.parametrize(
    ("kind", "not_asked"),
    [
        ("prompt", {"sbom-present", "provenance-verified", "evaluations-passed", "licence-allowed"}),
        ("dataset", {"sbom-present", "evaluations-passed", "use-allowed"}),
        ("code", {"evaluations-passed", "use-allowed"}),
    ],
)
def test_other_kinds_are_asked_only_what_makes_sense(
    baseline: Pack, make_facts: MakeFacts, kind: str, not_asked: set[str]
):
    asked = {r.rule for r in evaluate(baseline, make_facts(kind)).results}
    assert not asked & not_asked
    assert {"metadata-complete", "artifact-stored", "scan-clean"} <= asked


@pytest.mark.parametrize(
    ("tier", "roles"),
    [
        ("low", ("product",)),
        ("medium", ("product", "security")),
        ("high", ("platform", "product", "security")),
    ],
)
def test_review_roles_follow_the_risk_tier(baseline: Pack, make_facts: MakeFacts, tier: str, roles: Any):
    assert evaluate(baseline, make_facts(risk_tier=tier)).review_roles == roles


def test_a_use_may_be_allowed_for_one_data_class_only(baseline: Pack, make_facts: MakeFacts):
    inside = make_facts(context=UseContext(business_function="fraud", data_class="internal"))
    outside = make_facts(context=UseContext(business_function="fraud", data_class="public"))
    assert evaluate(baseline, inside).passed
    assert not evaluate(baseline, outside).passed


def test_evaluating_the_baseline_stays_within_a_few_milliseconds(baseline: Pack, make_facts: MakeFacts):
    facts = make_facts(
        vulnerabilities=tuple(
            VulnerabilityFacts(advisory=f"CVE-{i}", component=REQUESTS, severity="low") for i in range(20)
        )
    )
    best = min(seconds(lambda: evaluate(baseline, facts)) for _ in range(20))
    assert best < 0.010  # measured 0.6 ms alone; the rest is room for a busy machine


def seconds(call: Callable[[], object]):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
