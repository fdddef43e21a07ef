"""What a delivery brings about: the source is asked, a version is registered, or a change is written down."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from registry_core import inbox
from registry_core.events import derived_id
from registry_core.events.sources import Difference, ExternalChangeAnnounced
from registry_core.handlers import Effect, Emit, Reader, StartJob, fold
from registry_core.identity import find_account
from registry_core.inbox import Delivery, settled
from registry_core.messaging.jobs import JobFunction
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.sources import Source, external_stream, speaking

from hallmark_ingestion.external.observing import OBSERVE
from hallmark_ingestion.intake.batch import allowed_to, carry_out
from hallmark_ingestion.intake.cloudevents import CloudEvent
from hallmark_ingestion.intake.commands import REGISTER
from hallmark_ingestion.sources.announced import Announced, news
from hallmark_ingestion.sources.receivers import RECEIVERS
from hallmark_ingestion.sources.receivers.base import Change, Hint, Meaning, Nothing, Release, UnreadableError


def make_handling(platform: Platform) -> JobFunction:
    async def handle(payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        """One delivery of the inbox. What is wrong with it is its outcome, and no failure of the job."""
        delivery = await inbox.find(platform.pool, UUID(payload["delivery"]))
        if delivery is None:
            return []
        try:
            return await _effects(platform, reader, delivery)
        except UnreadableError as error:
            return [settled(delivery.id, "failed", reason=str(error))]
        except Problem as problem:
            return [settled(delivery.id, "failed", reason=problem.sentence())]

    return handle


async def _effects(platform: Platform, reader: Reader, delivery: Delivery) -> Sequence[Effect]:
    meaning = RECEIVERS[delivery.kind].interpret(delivery.headers, delivery.body)
    if isinstance(meaning, Nothing):
        return [settled(delivery.id, "nothing", reason=meaning.why)]
    source = await speaking(reader, delivery.source)
    match meaning:
        case Hint(thing, aspects):
            asked = {"source": delivery.source, "object": thing, "delivery": delivery.key, "announces": [*aspects]}
            return [StartJob(OBSERVE, asked), settled(delivery.id, "taken", told=[in_words(meaning)])]
        case Release():
            return [await _registered(platform, reader, source, delivery, meaning)]
        case Change():
            return await _announced(platform, reader, delivery, meaning)
        case _:
            raise UnreadableError(f"a {delivery.kind} delivery of this sort is handled by the lifecycle service")


async def _registered(
    platform: Platform, reader: Reader, source: Source, delivery: Delivery, release: Release
) -> Effect:
    """In the name of the source's account, as if it had sent a CloudEvent. Raises Problem."""
    event = CloudEvent(delivery.key, f"urn:hallmark:source:{source.source}", REGISTER, release.data, release.at)
    account = await find_account(reader, source.account)
    (outcome,) = await carry_out(platform, [event], source.account, allowed_to(account))
    if isinstance(outcome, Problem):
        raise outcome
    return settled(delivery.id, "taken", told=[f"{outcome['ref']} is {outcome['outcome']}"])


async def _announced(platform: Platform, reader: Reader, delivery: Delivery, change: Change) -> Sequence[Effect]:
    """What differs from what is known of the object, and is not older than that; said once for each delivery."""
    stream, announced = external_stream(delivery.source, change.thing), derived_id(delivery.id, "announced")
    (events,) = await reader.read(stream)
    if any(event.id == announced for event in events):
        return [settled(delivery.id, "taken", told=["announced before"])]
    at = min(change.at or delivery.received_at, reader.now)
    known = fold(Announced(), events)
    differences = news(known, await inbox.heard(platform.pool, stream), change.after, at)
    heard = inbox.hear(stream, change.after, at)
    if not differences:
        reason = f"nothing of {change.thing} differs from what is known, or is newer"
        return [heard, settled(delivery.id, "nothing", reason=reason)]
    event = ExternalChangeAnnounced(
        source=delivery.source, object=change.thing, delivery=delivery.key, differences=differences
    )
    emit = Emit(stream, [event], expected=known.version, ids=[announced], occurred_at=at)
    return [emit, heard, settled(delivery.id, "taken", told=[_difference(change.thing, each) for each in differences])]


def _difference(thing: str, each: Difference) -> str:
    before = "nothing known" if each.before is None else json.dumps(each.before)
    return f"{thing}: {each.aspect} became {json.dumps(each.after)}, before {before}"


def in_words(meaning: Meaning) -> str:
    """What a delivery of this meaning is for."""
    match meaning:
        case Hint(thing=thing):
            return f"the source is asked about {thing}"
        case Release(data):
            return f"{data['ref']} is registered with {len(data['files'])} files"
        case Change(thing, after):
            return f"{thing} is said to have changed: {', '.join(after)}"
        case Nothing(why):
            return f"nothing is to be done: {why}"
        case _:
            return f"a request to {meaning.deployment} is counted"
