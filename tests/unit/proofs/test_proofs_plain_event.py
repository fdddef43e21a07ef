"""The fast way through an export: what it accepts, reading in full accepts alike, and reports do not change."""

import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.proofs.erasures import ERASABLE, PERSON_ERASED
from registry_core.proofs.pack import reading, verify_pack
from registry_core.proofs.pack.lines import EventItem, LineError, read_line, write_line
from registry_core.proofs.plain_event import read_plain_event


@pytest.fixture(scope="module")
def lines(event_of: Callable[..., Any]) -> list[bytes]:
    """Event lines with bodies of all lengths modulo three, an erased one, and all optional members."""
    events = [event_of(n, body=bytes(range(n))) for n in range(8)] + [event_of(8, body=None)]
    return [write_line(n + 2, EventItem.of(event, None)) for n, event in enumerate(events)]


def with_checksum(raw: bytes) -> bytes:
    content = raw[len(b'{"crc":"00000000",') : -1]
    return b'{"crc":"%08x",%b\n' % (crc32(content), content)


def in_full(raw: bytes) -> tuple[Any, ...] | None:
    try:
        number, item = read_line(raw)
    except LineError:
        return None
    assert isinstance(item, EventItem)
    return number, item.event.log_index, item.event.body, item.event.body_sha256, item.leaf


def test_the_usual_lines_are_read_fast_and_alike(lines: list[bytes]) -> None:
    for raw in lines:
        assert read_plain_event(raw) == in_full(raw) is not None


@settings(max_examples=2000, deadline=None)
@given(data=st.data())
def test_what_is_accepted_fast_is_accepted_in_full(data: st.DataObject, lines: list[bytes]) -> None:
    raw = bytearray(data.draw(st.sampled_from(lines)))
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(18, len(raw) - 2))
        match data.draw(st.sampled_from(["replace", "insert", "drop"])):
            case "replace":
                raw[place] = data.draw(st.sampled_from(b'0129afAZ+/=-:."\\,{}\x00\x7f\xc3'))
            case "insert":
                raw.insert(place, data.draw(st.sampled_from(b'019aA="\\ \xff')))
            case _:
                del raw[place]
    changed = with_checksum(bytes(raw))
    fast = read_plain_event(changed)
    assert fast is None or fast == in_full(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"2026-11-21T10", b"2026-02-30T10"),
        (b"2026-11-21T10", b"2026-11-21T24"),
        (b"2026-11-21T10", b"0000-11-21T10"),
        (b'"version":2', b'"version":02'),
        (b'"version":2', b'"version":9007199254740993'),
        (b'"body":"AAE="', b'"body":"AAF="'),
        (b'"body":"AAE="', b'"body":"AA E="'),
        (b'"line":4', b'"line":4.0'),
        (b'"actor":"alice"', b'"actor":"alice","actor":"alice"'),
        (b'"actor":"alice"', b'"actor":"al\\u0069ce"'),
    ],
)
def test_what_is_not_canonical_is_refused_both_ways(lines: list[bytes], old: bytes, new: bytes) -> None:
    assert old in lines[2]
    changed = with_checksum(lines[2].replace(old, new))
    assert read_plain_event(changed) is None
    assert in_full(changed) is None


def mutated(pack: bytes, seed: int) -> bytes:
    """A line dropped, doubled, moved, changed with a fitting checksum, or the file cut off."""
    chance, found = random.Random(seed), pack.splitlines(keepends=True)
    place = chance.randrange(1, len(found))
    match seed % 5:
        case 0:
            del found[place]
        case 1:
            found.insert(place, found[place])
        case 2:
            found.insert(chance.randrange(1, len(found)), found.pop(place))
        case 3:
            raw = bytearray(found[place])
            raw[chance.randrange(20, len(raw) - 2)] ^= 1 << chance.randrange(7)
            found[place] = with_checksum(bytes(raw))
        case _:
            return pack[: chance.randrange(len(pack))]
    return b"".join(found)


@pytest.mark.parametrize("held", [None, 5])
def test_a_report_is_the_same_line_by_line(
    make_log: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, held: int | None
) -> None:
    log = make_log(12)
    pack, note = log.export(4, 9), None if held is None else log.checkpoint(held)
    for seed in range(300):
        changed = mutated(pack, seed) if seed else pack
        monkeypatch.setattr(reading, "_TOGETHER", 1 + seed % 4)
        fast = verify_pack(io.BytesIO(changed), [log.signer.vkey], note)
        with monkeypatch.context() as slow:
            slow.setattr(reading, "read_run", lambda *_: None)
            assert fast == verify_pack(io.BytesIO(changed), [log.signer.vkey], note)
        assert fast.ok == (changed == pack)


@pytest.mark.parametrize("erasure", [None, 3, 40])
def test_a_body_that_vanished_from_the_middle_of_a_run_is_a_problem_unless_an_erasure_in_another_names_it(
    make_log: Callable[..., Any], event_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, erasure: int | None
) -> None:
    monkeypatch.setattr(reading, "_TOGETHER", 4)
    log = make_log(60)
    events, gone = list(log.events), log.events[21]
    if erasure is not None:
        body = json.dumps({"bodies": [str(gone.id)]}).encode()
        digest = sha256(body).digest()
        events[erasure] = event_of(erasure, type=PERSON_ERASED, body=body, body_sha256=digest)
    events[21] = replace(gone, type=ERASABLE, body=None, _decoded=[])
    report = verify_pack(io.BytesIO(replace(log, events=tuple(events)).export()), [log.signer.vkey])
    said = [problem.message for problem in report.problems]
    assert said == ([] if erasure is not None else ["its body is gone, and no erasure in the log names it"])
    assert report.erased == 1


def test_other_processes_read_ahead_in_order(make_log: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TOGETHER", 3)
    log = make_log(60)
    pack = log.export(20)
    assert verify_pack(io.BytesIO(pack), [log.signer.vkey], processes=2).ok
    assert not verify_pack(io.BytesIO(mutated(pack, 2)), [log.signer.vkey], processes=2).ok
