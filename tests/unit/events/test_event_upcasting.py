"""A new version of a type: old events are read as the newest, whoever reads; what is too new is waited for."""

from typing import Any
from uuid import uuid4

import pytest
from registry_core.clock import system_clock
from registry_core.events import (
    Erased,
    Event,
    NewerEventTypeError,
    RecordedEvent,
    UnknownEventTypeError,
    topic_of,
    upcasts,
    versions_of,
)
from registry_core.events.base import decode, newest
from registry_core.handlers import Effect, Reader
from registry_core.messaging.consumer import Consumer
from registry_core.proofs.canonical import canonical_json
from support import NOW

NAME = "io.hallmark.parcel.sent"


def declare() -> tuple[type[Event], type[Event], type[Event]]:
    """Three versions of one type: kilograms as text, then grams, then grams with a carrier."""

    class SentV1(Event, type=f"{NAME}.v1", family="parcels"):
        kilograms: str

    class SentV2(Event, type=f"{NAME}.v2", family="parcels"):
        grams: int

    class Sent(Event, type=f"{NAME}.v3", family="parcels"):
        grams: int
        carrier: str
        note: str | None = None

    @upcasts(SentV1, to=SentV2)
    def _(old: SentV1) -> SentV2:
        return SentV2(grams=round(float(old.kilograms) * 1000))

    @upcasts(SentV2, to=Sent)
    def _(old: SentV2) -> Sent:
        return Sent(grams=old.grams, carrier="unknown")

    return SentV1, SentV2, Sent


def recorded(event_type: str, body: bytes | None) -> RecordedEvent:
    return RecordedEvent(
        id=uuid4(), stream="parcel:1", version=0, type=event_type, body=body, body_sha256=b"", actor="a",
        occurred_at=NOW, recorded_at=NOW, correlation_id=uuid4(), log_index=0,
    )  # fmt: skip


def test_an_event_is_read_as_the_newest_version_of_its_type() -> None:
    *_, sent = declare()
    assert decode(f"{NAME}.v1", b'{"kilograms":"1.5"}') == sent(grams=1500, carrier="unknown")
    assert decode(f"{NAME}.v2", b'{"grams":7}') == sent(grams=7, carrier="unknown")
    assert recorded(f"{NAME}.v1", b'{"kilograms":"2"}').data == sent(grams=2000, carrier="unknown")


def test_dispatch_needs_no_decoding_and_is_by_the_newest_class() -> None:
    _, middle, sent = declare()
    assert recorded(f"{NAME}.v1", b"not even JSON").model is sent
    assert recorded("io.hallmark.of.others.v1", b"{}").model is None
    assert versions_of(sent) == [f"{NAME}.v1", f"{NAME}.v2", f"{NAME}.v3"]
    with pytest.raises(TypeError, match="superseded"):
        versions_of(middle)


def test_what_was_stored_stays_as_it_was() -> None:
    declare()
    event = recorded(f"{NAME}.v1", b'{"kilograms":"2"}')
    assert event.data
    assert (event.type, event.body) == (f"{NAME}.v1", b'{"kilograms":"2"}')


def test_a_consumer_of_the_newest_version_gets_older_events_too() -> None:
    *_, sent = declare()

    async def weigh(event: RecordedEvent, reader: Reader) -> list[Effect]:
        return []

    consumer = Consumer("depot", {sent: weigh}, None, system_clock)  # type: ignore[arg-type]  # nothing is read here
    assert set(consumer._handlers) == {f"{NAME}.v1", f"{NAME}.v2", f"{NAME}.v3"}


def test_a_consumer_of_a_superseded_version_cannot_be_made() -> None:
    first, *_ = declare()

    async def weigh(event: RecordedEvent, reader: Reader) -> list[Effect]:
        return []

    with pytest.raises(TypeError, match="newest version"):
        Consumer("depot", {first: weigh}, None, system_clock)  # type: ignore[arg-type]  # as above


def test_a_field_of_a_later_release_is_passed_over_when_read_and_refused_when_made() -> None:
    *_, sent = declare()
    body: dict[str, Any] = {"grams": 1, "carrier": "post", "insured": True}
    assert decode(f"{NAME}.v3", canonical_json(body)) == sent(grams=1, carrier="post")
    with pytest.raises(ValueError, match="insured"):
        sent(**body)


def test_a_version_that_is_too_new_is_no_unknown_type() -> None:
    declare()
    with pytest.raises(NewerEventTypeError, match="upgrade this service"):
        decode(f"{NAME}.v4", b"{}")
    with pytest.raises(UnknownEventTypeError) as caught:
        decode("io.hallmark.of.others.v1", b"{}")
    assert not isinstance(caught.value, NewerEventTypeError)


def test_a_version_that_is_too_new_is_sealed_into_the_topic_of_its_type() -> None:
    declare()
    assert topic_of(f"{NAME}.v4") == topic_of(f"{NAME}.v1") == "registry.parcels"
    assert topic_of("io.hallmark.of.others.v1") == "registry.unknown"


def test_an_erased_body_says_nothing() -> None:
    declare()
    assert isinstance(recorded(f"{NAME}.v1", None).data, Erased)


@pytest.mark.parametrize("following", ["io.hallmark.parcel.sent.v5", "io.hallmark.parcel.posted.v4"])
def test_an_upcaster_leads_to_the_next_version_of_the_same_type(following: str) -> None:
    *_, sent = declare()

    class Other(Event, type=following, family="parcels"):
        pass

    with pytest.raises(TypeError, match="does not follow"):
        upcasts(sent, to=Other)


def test_an_upcaster_stays_in_the_topic() -> None:
    *_, sent = declare()

    class Moved(Event, type=f"{NAME}.v4", family="letters"):
        pass

    with pytest.raises(TypeError, match="same name and family"):
        upcasts(sent, to=Moved)


def test_a_version_has_one_upcaster() -> None:
    first, middle, _ = declare()
    with pytest.raises(TypeError, match="already"):
        upcasts(first, to=middle)


@pytest.mark.parametrize("strange", ["", ".v1", "x", "x.v", "x.vone", "x.v0", "x.v99999999", "x.v²"])
def test_no_strange_type_name_breaks_anything(strange: str) -> None:
    assert newest(strange) is None
    assert topic_of(strange) == "registry.unknown"
