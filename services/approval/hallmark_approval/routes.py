"""HTTP of approval: promotions, reviews, exceptions, policies."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import MediaType, Request, get, post, put
from pydantic import AwareDatetime, Field
from pydantic_core import to_json
from registry_core.events import Event, RecordedEvent, derived_id
from registry_core.events.governance import PolicyActivated
from registry_core.events.lifecycle import ExceptionGranted, ExceptionRequested
from registry_core.events.promotions import PromotionRequested, ReviewRecorded, ReviewRefused
from registry_core.handlers import load
from registry_core.http import Caller
from registry_core.http.moments import events_at, stated
from registry_core.identity import Account, account_stream
from registry_core.moments import Moment
from registry_core.persons import persons
from registry_core.problems import Problem, conflict, forbidden, invalid, not_found
from registry_core.proofs.canonical import to_base64
from registry_core.proofs.keys import key_id, public_base64, public_from_base64
from registry_core.service import Platform
from registry_core.values import Name, Ref, Text, UseContext, Value, policy_stream, promotion_stream, sha256_digest
from registry_core.version import RuleException, Version

from hallmark_approval.decide import decide_review
from hallmark_approval.people import as_known, parties, requesters
from hallmark_approval.policy import PackError, load_pack
from hallmark_approval.process import ACTIVE_POLICY, PolicyStream, PromotionStream, what_changed
from hallmark_approval.promotion import IllegalTransition, Promotion, Stage
from hallmark_approval.review import REVIEW_TYPE, Identity, Outcome, Parties, review_statement

MAX_EXCEPTION = timedelta(days=90)
MOST_EXCEPTIONS = 32 * 1024
"""Bytes of the exceptions in force on one version."""
Comment = Annotated[str, Field(max_length=4000)]


class RequestPromotion(Value):
    ref: Ref
    context: UseContext
    environment: Name = "production"
    expedite: bool = False
    reason: Comment | None = None


class ReviewIntent(Value):
    role: Annotated[str, Field(max_length=32)]
    outcome: Outcome
    comment: Comment = ""


class HandInReview(ReviewIntent):
    envelope: dict[str, Any]
    """DSSE over the statement."""


class RequestException(Value):
    rule: Name
    finding: Annotated[str, Field(max_length=256)] | None = None
    reason: Text
    expires_at: AwareDatetime


async def _version(caller: Caller, ref: str) -> Version:
    version = await load(caller.platform.reader, Version(), ref)
    if not version.exists:
        raise not_found(ref, "register it first: `hallmark register`")
    return version


async def _promotion(platform: Platform, promotion: str) -> tuple[PromotionStream, Promotion]:
    state = await load(platform.reader, PromotionStream(), promotion_stream(promotion))
    if state.promotion is None:
        raise not_found(f"promotion {promotion[:80]}", "look at the review queue, or request it: `hallmark promote`")
    return state, state.promotion


@post("/v1/promotions", action="promote", status_code=202)
async def request_promotion(data: RequestPromotion, caller: Caller) -> dict[str, Any]:
    """Ask for a version to be approved for a use context. The audit starts by itself once every check is in."""
    version, promotion = await _version(caller, data.ref), caller.seed.hex
    requested = PromotionRequested(
        promotion=promotion, digest=version.digest, requested_by=caller.name, **data.model_dump(exclude={"context"}),
        context=data.context,
    )  # fmt: skip
    written = await caller.decide(
        promotion_stream(promotion), PromotionStream(), lambda state: [] if state.promotion else [requested]
    )
    return written.document(promotion=promotion, ref=data.ref)


@get("/v1/promotions/{promotion:str}", action="read")
async def read_promotion(promotion: str, platform: Platform) -> dict[str, Any]:
    """Where the promotion stands: rule results, reasons when refused, reviews, the signed decision."""
    state, current = await _promotion(platform, promotion)
    return {
        "promotion": promotion,
        "ref": current.ref,
        "status": current.stage.value.replace(" ", "_"),
        "context": current.context.model_dump(),
        "environment": current.environment,
        "requested_by": current.requested_by,
        "policy": current.policy,
        "policy_digest": current.policy_digest,
        "results": [item.model_dump() for item in state.audit.results] if state.audit else [],
        "reasons": [item.model_dump() for item in state.refusal.reasons] if state.refusal else [],
        "roles": list(current.roles),
        "reviews": [
            {"role": r.role, "reviewer": r.reviewer, "person": r.person, "outcome": r.outcome} for r in current.reviews
        ],
        "expires_at": current.expires_at,
        "decision_digest": current.decision_digest,
    }


@post("/v1/promotions/{promotion:str}/statement", action="review", status_code=200)
async def read_statement(promotion: str, data: ReviewIntent, platform: Platform) -> dict[str, Any]:
    """The bytes that a reviewer signs (DSSE, payload type as given) and hands in."""
    _, current = await _promotion(platform, promotion)
    return {"payload_type": REVIEW_TYPE, "payload": to_base64(_statement(current, data))}


def _statement(promotion: Promotion, intent: ReviewIntent) -> bytes:
    return review_statement(
        promotion=promotion.id, ref=promotion.ref, digest=promotion.digest, policy_digest=promotion.policy_digest,
        evidence_digests=promotion.evidence_digests, context=promotion.context, role=intent.role,
        outcome=intent.outcome, comment=intent.comment,
    )  # fmt: skip


@post("/v1/versions/{ref:str}/exceptions", action="except:request")
async def request_exception(ref: str, data: RequestException, caller: Caller) -> dict[str, Any]:
    """Ask for a rule (or one finding under it) not to stand in the way of this version for a while."""
    now = caller.platform.clock()
    if not now < data.expires_at <= now + MAX_EXCEPTION:
        raise invalid("an exception ends in the future, within 90 days", "choose an earlier end", field="/expires_at")
    await _version(caller, ref)
    requested = ExceptionRequested(ref=ref, exception=caller.seed.hex, requested_by=caller.name, **data.model_dump())
    written = await caller.decide(ref, Version(), lambda _: [requested])
    return written.document(exception=requested.exception)


@post("/v1/versions/{ref:str}/exceptions/{exception:str}/grant", action="except:grant")
async def grant_exception(ref: str, exception: str, caller: Caller) -> dict[str, Any]:
    """A manager grants it; never a person who had a part in the version or asked for its promotion (mission E3)."""
    version = await _version(caller, ref)
    asked = version.exceptions.get(exception)
    if asked is None:
        raise not_found(f"exception {exception[:80]} of {ref}", "request it first: `hallmark exception request`")
    reader = caller.platform.reader
    who = replace(await parties(reader, version, await requesters(reader, version)), granted_by=())
    if did := who.parts_of(caller.account.person):
        raise forbidden(f"{caller.account.person} {' and '.join(did)}", "ask another manager to grant it")

    def decide(state: Version) -> list[Event]:
        if state.exceptions[exception].granted_by:
            return []
        _room_for_exception(state, asked)
        return [ExceptionGranted(ref=ref, exception=exception, granted_by=caller.name, person=caller.account.person)]

    return (await caller.decide(ref, Version(), decide)).document(exception=exception)


def _room_for_exception(state: Version, asked: RuleException) -> None:
    """A decision names every exception it rests on, so their texts have to fit it. Raises Problem 409."""
    held = [item for item in state.exceptions.values() if item.granted_by and not item.expired]
    if sum(len(to_json(item)) for item in (*held, asked)) > MOST_EXCEPTIONS:
        raise conflict(
            f"the exceptions of {state.ref} together take more than {MOST_EXCEPTIONS} bytes",
            "request this one with a shorter reason, or mend what the others are about",
        )


@get("/v1/policies/{name:str}", action="read", media_type=MediaType.TEXT)
async def read_policy(name: str, platform: Platform, moment: Moment) -> str:
    """The active document of a policy, now or then."""
    return (await _activation(platform, name, moment))[1].document


@get("/v1/policies/{name:str}/activation", action="read")
async def read_activation(name: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """Which pack is active, now or then, with its document, and who made it so when."""
    event, active = await _activation(platform, name, moment)
    return {
        **active.model_dump(),
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        **stated(moment),
    }


async def _activation(platform: Platform, name: str, moment: Moment) -> tuple[RecordedEvent, PolicyActivated]:
    what, fix = f"policy {name[:80]}", "no such policy was ever active; activate one with `hallmark policy activate`"
    for event in reversed(await events_at(platform, policy_stream(name), moment, what, fix)):
        if isinstance(event.data, PolicyActivated):
            return event, event.data
    raise not_found(what, fix)


@put("/v1/policies/{name:str}", action="policy")
async def activate_policy(name: str, request: Request[Any, Any, Any], caller: Caller) -> dict[str, Any]:
    """Make a YAML pack the active document of this policy; every later decision names its digest."""
    raw = await request.body()
    try:
        pack = load_pack(raw)
    except PackError as error:
        problems = [item._asdict() for item in error.problems]
        raise Problem(422, "invalid-policy", str(error), fix="correct what is named", problems=problems) from error
    if pack.document.name != name or name != ACTIVE_POLICY:
        raise invalid(f"the pack is named {pack.document.name!r}; decisions are made by {ACTIVE_POLICY!r}", "rename it")
    activated = PolicyActivated(
        name=name, version=pack.document.version, digest=sha256_digest(raw), document=raw.decode(),
        activated_by=caller.name,
    )  # fmt: skip

    def decide(state: PolicyStream) -> list[Event]:
        current = state.activations[-1].digest if state.activations else None
        return [] if current == activated.digest else [activated]

    return (await caller.decide(policy_stream(name), PolicyStream(), decide)).document(digest=activated.digest)


def make_routes(signing_key: Ed25519PrivateKey) -> list[Any]:
    """All of them, around the key that signs decisions."""

    @get("/v1/decision-key", public=True, sync_to_thread=False)
    def read_key() -> dict[str, str]:
        """The public key of decision records (Ed25519, base64 of the raw bytes)."""
        public = signing_key.public_key()
        return {"key_id": key_id(public), "public_key": public_base64(public)}

    @post("/v1/promotions/{promotion:str}/reviews", action="review")
    async def hand_in_review(promotion: str, data: HandInReview, caller: Caller) -> dict[str, Any]:
        """Approve, reject or ask for remediation, signed. What may not count is recorded as refused."""
        _, current = await _promotion(caller.platform, promotion)
        version = await _version(caller, current.ref)
        await _check_current(caller, promotion, version, data)
        who = await parties(caller.platform.reader, version, [current.requested_by])
        known = await persons(caller.platform.reader, {review.reviewer for review in current.reviews})
        valid_for = await _valid_for(caller.platform, current)
        account = await load(caller.platform.reader, Account(), account_stream(caller.name))

        def decide(state: PromotionStream) -> list[Event]:
            assert state.promotion is not None
            return _decide(
                as_known(state.promotion, known), data, account, who,
                at=caller.platform.clock(), valid_for=valid_for, key=signing_key,
            )  # fmt: skip

        written = await caller.decide(promotion_stream(promotion), PromotionStream(), decide)
        await _raise_refusal(caller, promotion)
        _, after = await _promotion(caller.platform, promotion)
        return written.document(promotion=promotion, status=after.stage.value.replace(" ", "_"))

    return [
        request_promotion,
        read_promotion,
        read_statement,
        hand_in_review,
        request_exception,
        grant_exception,
        read_policy,
        read_activation,
        activate_policy,
        read_key,
    ]


async def _check_current(caller: Caller, promotion: str, version: Version, data: HandInReview) -> None:
    """Nobody approves what is no longer what was audited. The event that approves checks it again."""
    state, current = await _promotion(caller.platform, promotion)
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
            reviewer=Identity(account=account.account, person=account.person, roles=account.roles),
            review_keys=keys,
            parties=who,
            valid_for=valid_for,
            at=at,
            signing_key=key,
        )
    except IllegalTransition as error:
        raise conflict(str(error), "look at the promotion: `hallmark status`") from error
