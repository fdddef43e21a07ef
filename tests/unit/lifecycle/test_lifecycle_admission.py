"""Given a version's history, may it serve?"""

from datetime import timedelta

import pytest
from registry_core.events import Event
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    RemediationClockStarted,
    VersionBecameCandidate,
    VersionDeprecated,
    VersionRetired,
    VersionSuspended,
)
from registry_core.values import UseContext
from registry_core.version import Version
from unit.lifecycle.histories import (
    CREDIT,
    DAY,
    EXPIRES,
    NOW,
    REF,
    approved,
    asked,
    deployed,
    registered,
    rules,
    version,
)

SECOND = timedelta(seconds=1)
DEPRECATED = VersionDeprecated(ref=REF, replacement="model:credit-risk@2.0.0", cause="successor")


def test_an_approved_version_may_serve_where_and_for_what_it_was_approved() -> None:
    answer = asked(version(registered(), approved()))
    assert answer.allowed
    assert answer.approval is not None
    assert answer.approval.promotion == "p1"


def test_an_approval_ends_at_its_hour() -> None:
    held = version(registered(), approved())
    assert asked(held, EXPIRES - SECOND).allowed
    refused = asked(held, EXPIRES)
    assert rules(refused) == ["approval"]
    assert EXPIRES.isoformat() in refused.reasons[0].detail


def test_an_unknown_version_is_refused() -> None:
    answer = asked(Version())
    assert (answer.allowed, answer.state, rules(answer)) == (False, None, ["registered"])


@pytest.mark.parametrize(
    ("last", "rule"),
    [
        (VersionSuspended(ref=REF, cause="leak"), "state"),
        (VersionRetired(ref=REF, cause="old"), "state"),
        (VersionBecameCandidate(ref=REF, promotion="p2"), "state"),
        (DEPRECATED, "deprecated"),
        (ApprovalVoided(ref=REF, promotion="p1", cause="prompt changed"), "approval"),
        (ApprovalExpired(ref=REF, promotion="p1", context=CREDIT, expired_at=EXPIRES), "approval"),
    ],
)
def test_what_ends_an_approved_version_ends_its_admission(last: Event, rule: str) -> None:
    answer = asked(version(registered(), approved(), last))
    assert rules(answer) == [rule]
    assert all(reason.detail and reason.owner and reason.fix for reason in answer.reasons)


def test_a_draft_is_refused_with_every_reason() -> None:
    assert rules(asked(version(registered()))) == ["state", "approval"]


@pytest.mark.parametrize(
    ("context", "environment"),
    [
        (CREDIT, "staging"),
        (CREDIT.model_copy(update={"business_function": "marketing"}), "production"),
        (CREDIT.model_copy(update={"data_class": "public"}), "production"),
        (CREDIT.model_copy(update={"region": "us"}), "production"),
        (CREDIT.model_copy(update={"region": "any"}), "production"),
    ],
)
def test_another_use_needs_its_own_approval(context: UseContext, environment: str) -> None:
    answer = asked(version(registered(), approved()), context=context, environment=environment)
    assert rules(answer) == ["approval"]
    assert "approved for credit-scoring/personal/eu in production" in answer.reasons[0].detail


def test_an_approval_for_any_region_holds_in_each() -> None:
    everywhere = CREDIT.model_copy(update={"region": "any"})
    assert asked(version(registered(), approved(context=everywhere)), context=CREDIT).allowed


def test_a_voided_approval_says_why() -> None:
    voided = ApprovalVoided(ref=REF, promotion="p1", cause="prompt:a@2.0.0 followed prompt:a@1.0.0")
    assert "prompt:a@2.0.0" in asked(version(registered(), approved(), voided)).reasons[0].detail


def test_a_renewed_approval_counts_beside_the_old_one() -> None:
    expired = ApprovalExpired(ref=REF, promotion="p1", context=CREDIT, expired_at=EXPIRES)
    renewed = approved("p2", expires_at=EXPIRES + 90 * DAY)
    assert asked(version(registered(), approved(), renewed, expired), EXPIRES).allowed


def test_a_deprecated_version_serves_on_where_it_is_deployed_and_takes_no_new_use() -> None:
    deprecated = version(registered(), approved(), deployed(), DEPRECATED)
    assert asked(deprecated, new_use=False).allowed
    refused = asked(deprecated)
    assert rules(refused) == ["deprecated"]
    assert refused.reasons[0].fix == "use model:credit-risk@2.0.0"
    assert rules(asked(deprecated, EXPIRES, new_use=False)) == ["approval"]


def test_existing_use_must_exist() -> None:
    assert rules(asked(version(registered(), approved(), DEPRECATED), new_use=False)) == ["existing-use"]


def test_a_clock_that_ran_out_ends_new_use_only() -> None:
    clock = RemediationClockStarted(ref=REF, finding="CVE-1", owner="alice", due=NOW + DAY, escalate_to="bea")
    late = version(registered(), approved(), deployed(), clock)
    assert asked(late, NOW + DAY - SECOND).allowed
    assert rules(asked(late, NOW + DAY)) == ["remediation"]
    assert asked(late, NOW + DAY, new_use=False).allowed
