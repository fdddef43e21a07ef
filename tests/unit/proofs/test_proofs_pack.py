"""Packs: an honest one verifies, and whatever was done to a dishonest one is found and placed."""

import base64
import hashlib
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.proofs.dsse import sign
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.erasures import ERASABLE, NOT_ERASABLE
from registry_core.proofs.merkle import leaf_hash
from registry_core.proofs.merkle import root as merkle_root
from registry_core.proofs.note import Signer, sign_checkpoint
from registry_core.proofs.pack import PackWriter, verify_pack
from registry_core.proofs.pack.lines import LONGEST_LINE, EventItem, end_text, write_line
from registry_core.proofs.pack.report import describe
from registry_core.proofs.pack.verifier import MOST_PROBLEMS

KINDS = ["log", "evidence"]


def check(pack: bytes, **options: Any):
    return verify_pack(io.BytesIO(pack), **options)


def lines_of(pack: bytes):
    return pack.splitlines(keepends=True)


def with_valid_checksums(lines: list[bytes]):
    """What a careful forger without the key does: numbers and checksums fitting again."""
    out = []
    for number, line in enumerate(lines, 1):
        fields = json.loads(line)
        content = json.dumps(
            {name: value for name, value in {**fields, "line": number}.items() if name != "crc"},
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()[1:]
        out.append(b'{"crc":"%08x",%b\n' % (crc32(content), content))
    return b"".join(out)


def forged_end(lines: list[bytes]):
    """The end line with the forged lines' own count and hash, under the old signature."""
    body = with_valid_checksums(lines[:-1])
    end = {**json.loads(lines[-1]), "lines": len(lines) - 1, "sha256": hashlib.sha256(body).hexdigest()}
    return with_valid_checksums([*lines[:-1], json.dumps(end).encode()])


@pytest.fixture(scope="module")
def packs(log: Any):
    return {"log": log.export(0, 3), "evidence": log.evidence(1, 4, 6)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_pack_verifies(packs: dict[str, bytes], log: Any, kind: str):
    report = check(packs[kind], trusted=[log.signer.vkey])
    assert report.ok
    assert (report.kind, report.subject, report.origin) == (kind, "model:credit-risk@1.0.0", log.signer.name)
    assert (report.events, report.blobs, report.decisions) == ((7, 0, 0) if kind == "log" else (6, 1, 1))
    assert report.checkpoint == log.checkpoint(7)
    assert report.signed_by == (log.signer.vkey,)
    assert not report.first_use


def test_without_a_trusted_key_the_report_says_first_use(packs: dict[str, bytes], log: Any):
    report = check(packs["log"])
    assert report.ok
    assert report.first_use
    assert report.signed_by == (log.signer.vkey,)
    assert "first use" in report.remarks[0]


def test_an_empty_log_has_a_pack_too(make_log: Callable[..., Any]):
    empty = make_log(0)
    report = check(empty.export(), trusted=[empty.signer.vkey])
    assert report.ok
    assert report.events == 0


def test_progress_counts_every_byte(packs: dict[str, bytes]):
    seen = []
    check(packs["log"], progress=seen.append)
    assert sum(seen) == len(packs["log"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_is_found_and_its_line_named(packs: dict[str, bytes], log: Any, kind: str):
    pack, chosen = packs[kind], random.Random(7)
    lines = lines_of(pack)
    kinds = [describe(line, number).split()[0] for number, line in enumerate(lines, 1)]
    offset = 0
    for number, line in enumerate(lines, 1):
        for at in [*chosen.sample(range(len(line)), 60), len(line) - 1]:
            mutated = bytearray(pack)
            mutated[offset + at] ^= chosen.randrange(1, 256)
            report = check(bytes(mutated), trusted=[log.signer.vkey])
            named = [problem for problem in report.problems if problem.line == number]
            assert not report.ok
            assert named, (number, at)
            whole = mutated[offset : offset + len(line)].count(b"\n") == 1
            assert not whole or named[0].what.startswith(kinds[number - 1]), (number, at, named[0])
        offset += len(line)


@settings(deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_any_mutation_of_the_bytes_is_found(packs: dict[str, bytes], data: st.DataObject, kind: str):
    pack = packs[kind]
    start = data.draw(st.integers(0, len(pack)))
    stop = data.draw(st.integers(start, min(len(pack), start + 400)))
    mutated = pack[:start] + data.draw(st.binary(max_size=20)) + pack[stop:]
    assert check(mutated).ok == (mutated == pack)


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_doubled_swapped_and_inserted_lines_are_found_where_they_are(
    packs: dict[str, bytes], log: Any, kind: str
):
    lines = lines_of(packs[kind])
    for at in range(len(lines)):
        dropped, doubled = [*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]
        foreign = [*lines[:at], lines[(at + 3) % len(lines)], *lines[at:]]
        cases = [(dropped, at + 1), (doubled, at + 2), (foreign, at + 1)]
        if at + 1 < len(lines):
            cases.append(([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]], at + 1))
        for mutated, number in cases:
            report = check(b"".join(mutated), trusted=[log.signer.vkey])
            assert report.problems[0].line == number, (at, number, report.problems)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_cut_off_anywhere_is_found(packs: dict[str, bytes], kind: str):
    pack = packs[kind]
    line_ends = [at + 1 for at, byte in enumerate(pack[:-1]) if byte == ord("\n")]
    for end in [*range(0, len(pack), 97), *line_ends]:
        report = check(pack[:end])
        assert (report.problems[-1].what, report.problems[-1].line) == ("end", len(lines_of(pack[:end])) + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_careful_forger_without_the_key_is_found(packs: dict[str, bytes], log: Any, kind: str):
    lines = lines_of(packs[kind])
    for at in range(1, len(lines) - 1):
        for mutated in ([*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]):
            report = check(forged_end(mutated), trusted=[log.signer.vkey])
            assert any("signature of the whole file" in problem.message for problem in report.problems)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_under_the_original_signed_end_is_found_by_the_hash(packs: dict[str, bytes], log: Any, kind: str):
    """Nothing but the hash of the whole file covers the header's subject."""
    lines = lines_of(packs[kind])
    lines[0] = json.dumps({**json.loads(lines[0]), "subject": "model:other@1.0.0"}).encode()
    report = check(with_valid_checksums(lines), trusted=[log.signer.vkey])
    assert [(problem.line, problem.message) for problem in report.problems] == [
        (len(lines), "the bytes before it are not those that were signed")
    ]


def test_a_signed_end_that_miscounts_the_lines_is_found(packs: dict[str, bytes], log: Any):
    lines = lines_of(packs["log"])
    end = json.loads(lines[-1])
    end["lines"] += 1
    end["signature"] = log.signer.sign(end_text(end["lines"], end["sha256"]))
    report = check(with_valid_checksums([*lines[:-1], json.dumps(end).encode()]), trusted=[log.signer.vkey])
    assert [problem.message for problem in report.problems] == [
        f"it counts {len(lines)} lines before it, there are {len(lines) - 1}"
    ]


def forge_actor(pack: bytes, number: int):
    """Event line `number` with another actor, and all checksums, counts and hashes fitting again."""
    lines = lines_of(pack)
    fields = json.loads(lines[number - 1])
    fields["record"]["actor"] = "mallory"
    lines[number - 1] = json.dumps(fields).encode()
    return forged_end(lines)


def test_a_forged_event_of_an_evidence_pack_is_named_by_its_proof(packs: dict[str, bytes], log: Any):
    report = check(forge_actor(packs["evidence"], 4), trusted=[log.signer.vkey])
    first = report.problems[0]
    assert (first.line, first.what) == (4, f"event {log.events[1].id} at log index 1")
    assert "not proven" in first.message


def test_a_forged_event_of_a_log_export_is_found_at_the_next_checkpoint(packs: dict[str, bytes], log: Any):
    report = check(forge_actor(packs["log"], 3), trusted=[log.signer.vkey])
    assert report.problems[0].what == "checkpoint"
    assert "the 3 events before it do not hash" in report.problems[0].message


def test_a_forged_body_is_named(packs: dict[str, bytes], log: Any):
    lines = lines_of(packs["log"])
    fields = json.loads(lines[4])
    fields["record"]["body"] = base64.b64encode(b"{}").decode()
    lines[4] = json.dumps(fields).encode()
    report = check(forged_end(lines), trusted=[log.signer.vkey])
    assert (report.problems[0].line, report.problems[0].what) == (5, describe(lines_of(packs["log"])[4], 5))
    assert "its body does not have the hash" in report.problems[0].message


def test_a_forged_blob_is_named_by_its_digest(packs: dict[str, bytes], log: Any):
    lines = lines_of(packs["evidence"])
    blob = json.loads(lines[-3])
    lines[-3] = json.dumps({**blob, "data": base64.b64encode(b"{}").decode()}).encode()
    report = check(forged_end(lines), trusted=[log.signer.vkey])
    assert (report.problems[0].line, report.problems[0].what) == (len(lines) - 2, f"blob {blob['digest']}")


def sealed_again(log: Any, signer: Signer | None = None, **changes: object):
    """The log as its own operator would rewrite it: other events, everything signed anew."""
    events = tuple(replace(event, **changes, _decoded=[]) if event.log_index == 5 else event for event in log.events)
    return replace(log, events=events, signer=signer or log.signer)


def test_a_log_signed_by_another_key_is_refused_unless_that_key_is_trusted(log: Any):
    impostor = Signer(log.signer.name, Ed25519PrivateKey.from_private_bytes(b"\x66" * 32))
    pack = sealed_again(log, signer=impostor, actor="mallory").export()
    report = check(pack, trusted=[log.signer.vkey])
    assert [problem.what for problem in report.problems] == ["checkpoint", "end"]
    assert report.signed_by == ()
    assert check(pack).first_use


@pytest.mark.parametrize("held", [6, 7])
def test_a_held_checkpoint_exposes_a_rewritten_log(log: Any, held: int):
    rewritten = sealed_again(log, actor="mallory").export()
    assert check(rewritten, trusted=[log.signer.vkey]).ok
    report = check(rewritten, trusted=[log.signer.vkey], held_checkpoint=log.checkpoint(held))
    assert [problem.message for problem in report.problems] == [
        f"the first {held} events are not those of the checkpoint you hold: the log was rewritten"
    ]


@pytest.mark.parametrize("held", range(8))
def test_a_held_checkpoint_of_the_same_log_fits(packs: dict[str, bytes], log: Any, held: int):
    assert check(packs["log"], trusted=[log.signer.vkey], held_checkpoint=log.checkpoint(held)).ok


def test_a_held_checkpoint_exposes_a_cut_log(make_log: Callable[..., Any]):
    before, after = make_log(7), make_log(5)
    report = check(after.export(), held_checkpoint=before.checkpoint(7))
    assert "its tail was cut off" in report.problems[0].message


def test_a_held_checkpoint_that_cannot_be_compared_is_said(
    packs: dict[str, bytes], log: Any, make_log: Callable[..., Any]
):
    assert check(packs["evidence"], held_checkpoint=log.checkpoint(7)).ok
    report = check(packs["evidence"], held_checkpoint=log.checkpoint(3))
    assert "cannot be compared" in report.problems[0].message
    report = check(packs["log"], held_checkpoint=make_log(3, seed=9).checkpoint(3))
    assert (report.problems[0].line, report.problems[0].what) == (0, "held checkpoint")
    other = sealed_again(log, actor="mallory")
    assert "rewritten" in check(other.evidence(1), held_checkpoint=log.checkpoint(7)).problems[0].message


def test_without_a_trusted_key_the_key_of_the_held_checkpoint_has_to_sign_the_rest(log: Any):
    impostor = Signer(log.signer.name, Ed25519PrivateKey.from_private_bytes(b"\x66" * 32))
    longer = replace(log, events=(*log.events, replace(log.events[-1], log_index=7, _decoded=[])), signer=impostor)
    stream = io.BytesIO()
    header = replace(log.header("log"), vkeys=(log.signer.vkey, impostor.vkey))
    writer = PackWriter(stream, header, impostor)
    for event in longer.events:
        writer.add_event(event)
    writer.add_checkpoint(longer.checkpoint(8))
    writer.finish()
    assert check(stream.getvalue()).first_use
    report = check(stream.getvalue(), held_checkpoint=log.checkpoint(7))
    assert [problem.what for problem in report.problems] == ["checkpoint", "end"]
    report = check(log.export(), held_checkpoint=log.checkpoint(6))
    assert (report.ok, report.first_use) == (True, False)


def test_a_malformed_trusted_key_is_a_problem_of_its_own(packs: dict[str, bytes]):
    report = check(packs["log"], trusted=["nonsense"])
    assert (report.problems[0].line, report.problems[0].what) == (0, "trusted key")


def naming(*named: object, event_type: str = "io.hallmark.privacy.person-erased.v1") -> dict[str, Any]:
    """An event that names others as erased, in the place of another one."""
    body = json.dumps({"bodies": list(map(str, named))}).encode()
    return {"type": event_type, "body": body, "body_sha256": sha256(body).digest()}


def test_an_erased_body_that_an_erasure_names_verifies_and_is_counted(log: Any):
    erased = sealed_again(log, body=None, type=ERASABLE)
    named = [event.id for event in erased.events if event.body is None]
    last = replace(erased.events[-1], **naming(*named), _decoded=[])
    report = check(replace(erased, events=(*erased.events[:-1], last)).export(), trusted=[log.signer.vkey])
    assert report.ok, report.problems
    assert report.erased == 1
    assert "erased" in report.remarks[0]


@pytest.mark.parametrize("changes", [{}, naming("nonsense"), naming(UUID(int=99))])
def test_a_body_that_vanished_is_a_problem(log: Any, changes: dict[str, Any]):
    gone = sealed_again(log, body=None, type=ERASABLE)
    last = replace(gone.events[-1], **changes, _decoded=[])
    report = check(replace(gone, events=(*gone.events[:-1], last)).export(), trusted=[log.signer.vkey])
    assert [problem.message for problem in report.problems] == ["its body is gone, and no erasure in the log names it"]


def test_what_no_erasure_may_name_is_a_problem_though_one_names_it(log: Any):
    """The services can append an erasure of anything, and the owner then make it vanish."""
    gone = replace(log, events=tuple(replace(e, body=None, _decoded=[]) if e.log_index == 5 else e for e in log.events))
    last = replace(gone.events[-1], **naming(gone.events[5].id), _decoded=[])
    report = check(replace(gone, events=(*gone.events[:-1], last)).export(), trusted=[log.signer.vkey])
    assert [problem.message for problem in report.problems] == [NOT_ERASABLE]


def test_an_event_of_another_type_erases_nothing(log: Any):
    gone = sealed_again(log, body=None, type=ERASABLE)
    named = [event.id for event in gone.events if event.body is None]
    last = replace(gone.events[-1], **naming(*named, event_type="io.hallmark.other.v1"), _decoded=[])
    assert not check(replace(gone, events=(*gone.events[:-1], last)).export()).ok


def write(log: Any, kind: str, *steps: Callable[[PackWriter], object]):
    stream = io.BytesIO()
    writer = PackWriter(stream, log.header(kind), log.signer)
    for step in steps:
        step(writer)
    writer.finish()
    return check(stream.getvalue(), trusted=[log.signer.vkey])


def test_a_gap_in_a_properly_signed_log_export_is_named(log: Any):
    report = write(log, "log", *[lambda w, i=i: w.add_event(log.events[i]) for i in (0, 1, 4)])
    assert report.problems[0].what == f"event {log.events[4].id} at log index 4"
    assert "from index 2 to 3 are missing" in report.problems[0].message


def test_an_event_twice_in_a_properly_signed_pack_is_named(log: Any):
    report = write(log, "log", *[lambda w, i=i: w.add_event(log.events[i]) for i in (0, 1, 1)])
    assert "doubled or out of order" in report.problems[0].message
    steps = [lambda w, i=i: w.add_event(log.events[i], []) for i in (1, 1)]
    report = write(log, "evidence", lambda w: w.add_checkpoint(log.checkpoint(7)), *steps)
    assert any("doubled or out of order" in problem.message for problem in report.problems)


def test_checkpoints_have_to_be_where_they_belong(log: Any):
    events = [lambda w, i=i: w.add_event(log.events[i]) for i in range(7)]
    cover = "no checkpoint covers all 7 events"
    assert [p.message for p in write(log, "log", *events).problems] == [cover]
    report = write(log, "log", *events, lambda w: w.add_checkpoint(log.checkpoint(6)))
    assert "covers 6 events, but 7 stand before it" in report.problems[0].message
    proven = [lambda w: w.add_event(log.events[0], [])]
    assert "no checkpoint stands before" in write(log, "evidence", *proven).problems[0].message
    twice = [lambda w: w.add_checkpoint(log.checkpoint(7))] * 2
    assert "further one" in write(log, "evidence", *twice).problems[0].message
    foreign = sign_checkpoint("other.example", 0, merkle_root([]), log.signer)
    assert "of the log 'other.example'" in write(log, "log", lambda w: w.add_checkpoint(foreign)).problems[0].message


def test_a_decision_that_is_not_signed_by_the_keys_it_names_is_found(log: Any):
    public, stranger = log.approver.public_key(), Ed25519PrivateKey.from_private_bytes(b"\x05" * 32).public_key()
    start = [lambda w: w.add_checkpoint(log.checkpoint(7))]
    for envelope, keys in (
        (log.decision, [stranger]),
        (log.decision, [public, stranger]),
        (log.decision, [public, public]),
        (log.decision, []),
        ({**log.decision, "payload": "e30="}, [public]),
        ({**log.decision, "payloadType": 5}, [public]),
        ({}, [public]),
        (sign(b"{}", "text/plain", log.approver) | {"signatures": [{}]}, [public]),
    ):
        report = write(log, "evidence", *start, lambda w, e=envelope, k=keys: w.add_decision(e, k))
        assert [(problem.line, problem.what) for problem in report.problems] == [(3, "decision")]


def test_the_writer_refuses_what_could_never_verify(log: Any, make_log: Callable[..., Any]):
    with pytest.raises(ValueError, match="vkeys"):
        PackWriter(io.BytesIO(), log.header("log"), make_log(0, seed=4).signer)
    writer = PackWriter(io.BytesIO(), log.header("log"), log.signer)
    with pytest.raises(ValueError, match="log export none"):
        writer.add_event(log.events[0], [])
    with pytest.raises(ValueError, match="too long for a pack"):
        writer.add_blob(bytes(LONGEST_LINE), "application/octet-stream")


def framed(number: int, content: bytes):
    return b'{"crc":"%08x",%b\n' % (crc32(content), content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'"item":"blob","line":2}', "'data' is missing"),
        (b'"item":"novel","line":2}', "not known"),
        (b'"item":[],"line":2}', "not known"),
        (b'"item":"note","line":2', "cannot be read"),
        (b'"line":2}', "not the header"),
        (b'"item":"checkpoint","line":2.0,"note":""}', "not an integer"),
        (b'"item":"checkpoint","line":"2","note":""}', "'line' is not of type int"),
        (b'"item":"checkpoint","line":%b,"note":""}' % (b"9" * 4300), "2^53"),
        (b'"item":"checkpoint","line":%b,"note":""}' % (b"9" * 5000), "cannot be read"),
        (b'"item":"checkpoint", "line":2,"note":""}', "canonical"),
        (b'"item":"checkpoint","line":2,"line":2,"note":""}', "canonical"),
        (b'"item":"checkpoint","line":2,"note":"","x":1}', "canonical"),
        (b'"item":"checkpoint","line":2,"note":"\\u0041"}', "canonical"),
        (b'"item":"checkpoint","line":2,"note":"\\ud800"}', "cannot be read"),
        (b'"item":"checkpoint","line":2,"note":"\xff"}', "cannot be read"),
        (b'"item":"decision","keys":[1],"line":2}', "missing"),
        (b'"envelope":{},"item":"decision","keys":[1],"line":2}', "not a list of text"),
        (b'"envelope":%b,"item":"decision","keys":[],"line":2}' % (b'{"a":' * 5000 + b"1" + b"}" * 5000), "too deeply"),
        (b'"item":"event","line":2,"record":{}}', "'id' is missing"),
        (b'"item":"event","line":2,"record":[]}', "'record' is not of type dict"),
    ],
)
def test_a_hostile_line_is_a_problem_and_never_an_exception(packs: dict[str, bytes], content: bytes, reason: str):
    lines = lines_of(packs["evidence"])
    report = check(b"".join([lines[0], framed(2, content), *lines[2:]]))
    assert report.problems[0].line == 2
    assert reason in report.problems[0].message


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_noise_is_a_problem_and_never_an_exception(packs: dict[str, bytes], first: bytes, second: bytes):
    header = lines_of(packs["log"])[0]
    assert not check(first).ok
    assert not check(header + framed(2, first) + framed(3, second)).ok


def test_a_line_too_long_is_skipped_in_pieces(packs: dict[str, bytes]):
    lines = lines_of(packs["log"])
    report = check(b"".join([lines[0], b"x" * (LONGEST_LINE + 5), b"\n", *lines[1:]]))
    assert (report.problems[0].line, report.problems[0].message) == (2, f"it is longer than {LONGEST_LINE} bytes")
    assert report.problems[-1].line == len(lines) + 1


def test_problems_stop_at_their_bound(packs: dict[str, bytes]):
    report = check(packs["log"] + b"noise\n" * 10_000)
    assert len(report.problems) == MOST_PROBLEMS
    assert "there may be more" in report.remarks[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_header_is_found_though_all_numbers_fit(packs: dict[str, bytes], kind: str):
    lines = lines_of(packs[kind])
    report = check(forged_end([lines[0], lines[0], *lines[1:]]))
    assert (report.problems[0].line, report.problems[0].message) == (2, "a pack has one header, on its first line")


def test_a_trusted_key_of_another_name_does_not_sign_for_the_log(log: Any):
    witness = Signer("witness.example", Ed25519PrivateKey.from_private_bytes(b"\x44" * 32))
    lines = lines_of(log.export())
    end = json.loads(lines[-1])
    end["signature"] = witness.sign(end_text(end["lines"], end["sha256"]))
    pack = with_valid_checksums([*lines[:-1], json.dumps(end).encode()])
    report = check(pack, trusted=[log.signer.vkey, witness.vkey])
    assert [problem.what for problem in report.problems] == ["end"]
    assert "not by the log" in report.problems[0].message
    assert report.signed_by == ()


def test_lines_behind_the_end_are_found(packs: dict[str, bytes], log: Any):
    extra = write_line(packs["log"].count(b"\n") + 1, EventItem.of(log.events[0], None))
    assert any("behind the end" in problem.message for problem in check(packs["log"] + extra).problems)


def test_the_end_cannot_pass_for_a_checkpoint(log: Any):
    text = end_text(5, "00" * 32)
    assert text.split("\n")[1] == "lines 5"


def test_a_leaf_in_the_pack_is_the_leaf_of_the_log(packs: dict[str, bytes], log: Any):
    record = json.loads(lines_of(packs["evidence"])[2])["record"]
    del record["body"]
    leaf = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert leaf_hash(leaf) == leaf_hash(leaf_bytes(log.events[0]))
