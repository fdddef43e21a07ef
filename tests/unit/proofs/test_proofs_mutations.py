"""Thousands of random changes to an export, made as carefully as one can without the log's key: none is missed."""

import base64
import hashlib
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.note import Signer
from registry_core.proofs.pack import Report, verify_pack

ROUNDS = 700
"""Of each of the six kinds."""
EVENTS = 12
CHECKPOINTS = (3, 6, 9)
Lines = list[bytes]
Mutation = Callable[[Lines, random.Random], Lines]


def fitted(lines: Lines) -> bytes:
    """Line numbers, checksums, count and hash made to fit; only the signatures cannot be."""
    out: Lines = []
    for number, line in enumerate(lines, 1):
        fields = {name: value for name, value in json.loads(line).items() if name != "crc"} | {"line": number}
        if fields.get("item") == "end":
            fields |= {"lines": number - 1, "sha256": hashlib.sha256(b"".join(out)).hexdigest()}
        content = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()[1:]
        out.append(b'{"crc":"%08x",%b\n' % (crc32(content), content))
    return b"".join(out)


def event_lines(lines: Lines) -> list[int]:
    return [at for at, line in enumerate(lines) if b'"item":"event"' in line]


def change_a_field(lines: Lines, chance: random.Random) -> Lines:
    at = chance.choice(event_lines(lines))
    fields = json.loads(lines[at])
    record = fields["record"]
    name = chance.choice(sorted(record))
    match record[name]:
        case int(number):
            record[name] = number + chance.choice([-1, 1, 7])
        case str(text) if name == "body":
            record[name] = base64.b64encode(base64.b64decode(text) + b" ").decode()
        case str(text):
            place = chance.randrange(len(text))
            record[name] = text[:place] + chance.choice("0123456789abcdef") + text[place + 1 :]
    return [*lines[:at], json.dumps(fields).encode(), *lines[at + 1 :]]


def drop(lines: Lines, chance: random.Random) -> Lines:
    at = chance.randrange(1, len(lines) - 1)
    return [*lines[:at], *lines[at + chance.randint(1, 3) :]]


def double(lines: Lines, chance: random.Random) -> Lines:
    at = chance.randrange(1, len(lines) - 1)
    return [*lines[: at + 1], *lines[at:]]


def swap(lines: Lines, chance: random.Random) -> Lines:
    one, two = chance.sample(range(1, len(lines) - 1), 2)
    changed = list(lines)
    changed[one], changed[two] = changed[two], changed[one]
    return changed


def insert(lines: Lines, chance: random.Random) -> Lines:
    """A new event of its own making, with or without making room for its index."""
    at = chance.choice(event_lines(lines))
    fields = json.loads(lines[at])
    body = str(chance.random()).encode()
    fields["record"] |= {"body": base64.b64encode(body).decode(), "body_sha256": hashlib.sha256(body).hexdigest()}
    later = [json.loads(line) for line in lines[at:]]
    if chance.random() < 0.5:
        for item in later:
            if "record" in item:
                item["record"]["log_index"] += 1
    return [*lines[:at], json.dumps(fields).encode(), *(json.dumps(item).encode() for item in later)]


def cut(lines: Lines, chance: random.Random) -> Lines:
    """The tail is gone, and the end stands where it was cut."""
    return [*lines[: chance.randrange(1, len(lines) - 2)], lines[-1]]


@pytest.fixture(scope="module")
def big(make_log: Callable[..., Any]) -> Any:
    return make_log(EVENTS)


def check(pack: bytes, log: Any, held: str | None = None) -> Report:
    return verify_pack(io.BytesIO(pack), [log.signer.vkey], held)


MUTATIONS = [change_a_field, drop, double, swap, insert, cut]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_none_is_missed_and_the_nearest_line_or_index_is_said(big: Any, mutate: Mutation):
    original = big.export(*CHECKPOINTS)
    lines, chance, made = original.splitlines(keepends=True), random.Random(mutate.__name__), 0
    while made < ROUNDS:
        forged = fitted(mutate(lines, chance))
        if forged == original:
            continue
        made += 1
        report = check(forged, big)
        assert not report.ok
        assert report.problems[0].line > 0
        assert report.problems[0].what
    assert made == ROUNDS


def test_a_changed_event_is_placed_between_the_two_checkpoints_around_it(big: Any):
    lines, chance = big.export(*CHECKPOINTS).splitlines(keepends=True), random.Random(3)
    for index in range(EVENTS):
        at = event_lines(lines)[index]
        fields = json.loads(lines[at])
        fields["record"]["actor"] = f"mallory{chance.random()}"
        report = check(fitted([*lines[:at], json.dumps(fields).encode(), *lines[at + 1 :]]), big)
        first = index // 3 * 3
        assert f"at log index {first} to {first + 2}" in report.problems[0].message


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_bytes_changed_and_nothing_fitted_name_their_line(big: Any, mutate: Mutation):
    """What a damaged disk or a careless hand does: the first line that differs is the first that is named."""
    original = big.export(*CHECKPOINTS)
    lines, chance = original.splitlines(keepends=True), random.Random(mutate.__name__)
    for _ in range(100):
        changed = [line if line.endswith(b"\n") else line + b"\n" for line in mutate(lines, chance)]
        if b"".join(changed) == original:
            continue
        pairs = enumerate(zip(changed, lines, strict=False), 1)
        first = next((number for number, (new, old) in pairs if new != old), len(changed) + 1)
        assert first in {problem.line for problem in check(b"".join(changed), big).problems}


def test_a_log_signed_anew_by_a_wrong_key_is_refused_however_it_was_changed(big: Any):
    chance = random.Random(5)
    for round_ in range(300):
        impostor = Signer(big.signer.name, Ed25519PrivateKey.from_private_bytes(chance.randbytes(32)))
        at = chance.randrange(EVENTS)
        events = [replace(e, actor=f"m{round_}", _decoded=[]) if e.log_index == at else e for e in big.events]
        pack = replace(big, events=tuple(events), signer=impostor).export(*CHECKPOINTS)
        assert not check(pack, big).ok


def test_a_log_signed_anew_by_its_own_key_is_exposed_by_a_held_checkpoint(big: Any):
    for at in range(EVENTS):
        events = [replace(e, actor="mallory", _decoded=[]) if e.log_index == at else e for e in big.events]
        pack = replace(big, events=tuple(events)).export(*CHECKPOINTS)
        assert check(pack, big).ok
        for size in range(at + 1, EVENTS + 1):
            assert not check(pack, big, big.checkpoint(size)).ok
        for size in range(1, at + 1):
            assert check(pack, big, big.checkpoint(size)).ok
