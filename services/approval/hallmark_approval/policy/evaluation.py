"""Rules over facts: deterministic, and total: any facts give a result."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from registry_core.events.promotions import RuleResult
from registry_core.proofs.decision import GrantedException

from hallmark_approval.policy.cel import EvaluationError, FactsTooLargeError
from hallmark_approval.policy.facts import Facts
from hallmark_approval.policy.pack import Evidence, Pack, Rule
from hallmark_approval.policy.templates import Template, as_text


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a pack said about facts. `passed`: no enforced rule failed or could not be evaluated."""

    policy: str
    """`name@version`."""
    policy_digest: str
    passed: bool
    results: tuple[RuleResult, ...]
    """Of the rules that apply, in the pack's order."""
    review_roles: tuple[str, ...]
    expires_after: timedelta
    facts: Facts
    """As the rules saw them, with the exceptions in force: evaluating these again gives the same results."""


def blocks(result: RuleResult) -> bool:
    """Whether a result stands in the way of promotion."""
    return result.mode == "enforce" and result.outcome in ("fail", "error")


def evaluate(pack: Pack, facts: Facts, *, exceptions: Iterable[GrantedException] = ()) -> Evaluation:
    """Apply every rule. Only exceptions of this version that hold at `facts.evaluated_at` count."""
    seen = facts.with_exceptions(exceptions)
    results = tuple(_results(pack, seen))
    return Evaluation(
        policy=pack.label,
        policy_digest=pack.digest,
        passed=not any(map(blocks, results)),
        results=results,
        review_roles=pack.document.review_roles[seen.risk_tier],
        expires_after=timedelta(days=pack.document.approval_valid_days),
        facts=seen,
    )


def _results(pack: Pack, facts: Facts) -> Iterator[RuleResult]:
    rules = [rule for rule in pack.rules if facts.version.kind in rule.document.applies_to]
    try:
        activation = pack.environment.bind(facts)
    except FactsTooLargeError as error:
        yield from (_error(rule, error, "shorten that list, e.g. by removing duplicates") for rule in rules)
        return
    for rule in rules:
        try:
            yield from _apply(rule, activation, facts)
        except EvaluationError as error:
            yield _error(rule, error, f"correct rule {rule.document.id} of {pack.label}, or the fact it reads")


def _error(rule: Rule, error: ValueError, fix: str) -> RuleResult:
    return rule.result("error", detail=f"could not be evaluated: {error}", owner="policy", fix=fix)


def _apply(rule: Rule, activation: Any, facts: Facts) -> Iterator[RuleResult]:
    if rule.when is not None and not rule.when.run(activation):
        return
    evidence = tuple(_evidence(rule.evidence, activation))
    if rule.require.run(activation):
        yield rule.result("pass", evidence=evidence)
        return
    covering = _covering(rule, activation, facts.exceptions)
    yield rule.result(
        "excepted" if covering else "fail",
        evidence=evidence,
        detail="; ".join([_told(rule.detail, activation), *map(_excuse, covering)]),
        owner=_told(rule.owner, activation),
        fix=_told(rule.fix, activation),
    )


def _covering(rule: Rule, activation: Any, exceptions: Iterable[GrantedException]) -> tuple[GrantedException, ...]:
    """The exceptions that together cover the failure: one for the whole rule, or one for each of its findings."""
    scoped = [e for e in exceptions if e.rule == rule.document.id]
    if whole := [e for e in scoped if e.finding is None]:
        return (whole[0],)
    findings = rule.findings.run(activation) if rule.findings else []
    covering = tuple(e for e in scoped if e.finding in findings)
    return covering if {e.finding for e in covering} == set(findings) else ()


def _excuse(exception: GrantedException) -> str:
    scope = f" for {exception.finding}" if exception.finding else ""
    return (
        f"excepted{scope} until {exception.expires_at.isoformat()} by exception {exception.exception}, "
        f"granted by {exception.granted_by}: {exception.reason}"
    )


def _told(template: Template, activation: Any) -> str:
    """A failed rule stays failed when only its wording fails."""
    try:
        return template.render(activation)
    except EvaluationError as error:
        return f"(this text could not be written: {error})"


def _evidence(evidence: Iterable[Evidence], activation: Any) -> Iterator[str]:
    for item in evidence:
        try:
            value = item.program.run(activation)
        except EvaluationError as error:
            yield f"{item.source}: could not be read: {error}"
            continue
        if item.is_path:
            yield f"{item.source} = {as_text(value) or 'none'}"
        else:
            yield from value if isinstance(value, list) else [as_text(value)]
