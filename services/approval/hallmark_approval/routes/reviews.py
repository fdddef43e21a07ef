"""Signed reviews, and the decision that the last of them brings about."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import get, post
from pydantic import Field
from registry_core.access import asset_of
from registry_core.events import Event, derived_id
from registry_core.events.promotions import ReviewRecorded, ReviewRefused
from registry_core.handlers import load
from registry_core.http import Caller
from registry_core.http.authorisation import OF_PROMOTION
from registry_core.identity import Account, find_account
from registry_core.persons import persons
from registry_core.problems import conflict, forbidden
from registry_core.proofs.canonical import to_base64
from registry_core.proofs.dsse import REVIEW
from registry_core.proofs.keys import key_id, public_base64, public_from_base64
from registry_core.service import Platform
from registry_core.values import Value, policy_stream, promotion_stream
from registry_core.version import Version

from hallmark_approval.decide import decide_review
from hallmark_approval.people import as_known, parties
from hallmark_approval.process import PolicyStream, PromotionStream, what_changed
from hallmark_approval.promotion import IllegalTransition, Promotion, Stage
from hallmark_approval.review import Identity, Outcome, Parties, review_statement
from hallmark_approval.routes.lookup import registered, requested

Comment = Annotated[str, Field(max_length=4000)]


class ReviewIntent(Value):
    role: Annotated[str, Field(max_length=32)]
    outcome: Outcome
    comment: Comment = ""


class HandInReview(ReviewIntent):
    envelope: dict[str, Any]
    """DSSE over the statement."""


@post("/v1/promotions/{promotion:str}/statement", action="review", asset=OF_PROMOTION, status_code=200)
async def read_statement(promotion: str, data: ReviewIntent, platform: Platform) -> dict[str, Any]:
    """The bytes that a reviewer signs (DSSE, payload type as given) and hands in."""
    _, current = await requested(platform, promotion)
    return {"payload_type": REVIEW, "payload": to_base64(_statement(current, data))}


def _statement(promotion: Promotion, intent: ReviewIntent) -> bytes:
    return review_statement(
        promotion=promotion.id, ref=promotion.ref, digest=promotion.digest, policy_digest=promotion.policy_digest,
        evidence_digests=promotion.evidence_digests, context=promotion.context, role=intent.role,
        outcome=intent.outcome, comment=intent.comment,
    )  # fmt: skip


def make_routes(signing_key: Ed25519PrivateKey) -> list[Any]:
    """Around the key that signs decisions."""

    @get("/v1/decision-key", public=True, security=[{}], sync_to_thread=False)
    def read_key() -> dict[str, str]:
        """The public key of decision records (Ed25519, base64 of the raw bytes)."""
        public = signing_key.public_key()
        return {"key_id": key_id(public), "public_key": public_base64(public)}

    @post("/v1/promotions/{promotion:str}/reviews", action="review", asset=OF_PROMOTION)
    async def hand_in_review(promotion: str, data: HandInReview, caller: Caller) -> dict[str, Any]:
        """Approve, reject or ask for remediation, signed. What may not count is recorded as refused."""
        _, current = await requested(caller.platform, promotion)
        version = await registered(caller, current.ref)
        await _check_current(caller, promotion, version, data)
        who = await parties(caller.platform.reader, version, [current.requested_by])
        known = await persons(caller.platform.reader, {review.reviewer for review in current.reviews})
        valid_for = await _valid_for(caller.platform, current)
        account = await find_account(caller.platform.reader, caller.name)

        def decide(state: PromotionStream) -> list[Event]:
            assert state.promotion is not None
            return _decide(
                as_known(state.promotion, known), data, account, who,
                at=caller.platform.clock(), valid_for=valid_for, key=signing_key,
            )  # fmt: skip

        written = await caller.decide(promotion_stream(promotion), PromotionStream(), decide)
        await _raise_refusal(caller, promotion)
        _, after = await requested(caller.platform, promotion)
        return written.document(promotion=promotion, status=after.stage.value.replace(" ", "_"))

    return [read_statement, hand_in_review, read_key]


async def _check_current(caller: Caller, promotion: str, version: Version, data: HandInReview) -> None:
    """Nobody approves what is no longer what was audited. The event that approves checks it again."""
    state, current = await requested(caller.platform, promotion)
    if data.outcome != "approve" or current.stage is not Stage.IN_REVIEW:
        return
    if changed := what_changed(version, state, caller.platform.clock()):
        raise conflict(changed, "wait for the audit to end, look at the promotion anew, then sign its statement")


async def _raise_refusal(caller: Caller, promotion: str) -> None:
    """What this request recorded decides, so that a retry is told the same."""
    recorded = await caller.platform.store.position(derived_id(caller.seed, promotion_stream(promotion), 0))
    if recorded and isinstance(recorded.data, ReviewRefused):
        reason = recorded.data.reason
        raise forbidden(reason.detail, reason.fix, rule=reason.rule, evidence=reason.evidence, owner=reason.owner)


async def _valid_for(platform: Platform, promotion: Promotion) -> timedelta:
    """How long an approval holds under the policy that audited the promotion."""
    if not promotion.policy_digest:
        return timedelta()
    policy = await load(platform.reader, PolicyStream(), policy_stream(promotion.policy.partition("@")[0]))
    return timedelta(days=policy.pack(promotion.policy_digest).document.approval_valid_days)


def _decide(
    promotion: Promotion,
    data: HandInReview,
    account: Account,
    who: Parties,
    *,
    at: datetime,
    valid_for: timedelta,
    key: Ed25519PrivateKey,
) -> list[Event]:
    """`account` as its stream has it now: the one that authentication remembers may be a second old."""
    review = ReviewRecorded(
        promotion=promotion.id, ref=promotion.ref, role=data.role, reviewer=account.account, person=account.person,
        outcome=data.outcome, comment=data.comment, envelope=data.envelope,
    )  # fmt: skip
    keys = {i: public_from_base64(k.public_key) for i, k in account.signing_keys.items() if k.purpose == "review"}
    try:
        return decide_review(
            promotion,
            review,
            reviewer=Identity(
                account=account.account, person=account.person, roles=account.roles_on(str(asset_of(promotion.ref)))
            ),
            review_keys=keys,
            parties=who,
            valid_for=valid_for,
            at=at,
            signing_key=key,
        )
    except IllegalTransition as error:
        raise conflict(str(error), "look at the promotion: `hallmark status`") from error
