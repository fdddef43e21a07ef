"""A log's key is handed over: who knows either key reaches the other, and each counts only for its own sizes."""

import io
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.handover import Handover, KeyChain, open_handover, sign_handover
from registry_core.proofs.merkle import EMPTY_ROOT
from registry_core.proofs.note import NoteError, Signer, sign_checkpoint, sign_note
from registry_core.proofs.pack import Header, PackWriter, verify_pack

ORIGIN = "hallmark.example/log"


def signer(seed: int, name: str = ORIGIN) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


ONE, TWO, THREE, THIEF = (signer(seed) for seed in (1, 2, 3, 9))
FIRST, SECOND = sign_handover(ORIGIN, 10, ONE, TWO), sign_handover(ORIGIN, 20, TWO, THREE)


def checkpoint(size: int, *signers: Signer) -> str:
    return sign_checkpoint(ORIGIN, size, EMPTY_ROOT, *signers)


def chain(*trusted: Signer, handovers: tuple[str, ...] = (FIRST, SECOND)) -> KeyChain:
    made = KeyChain(ORIGIN, [key.vkey for key in trusted])
    for handover in handovers:
        made.add(handover)
    return made


def test_a_handover_says_what_both_keys_signed():
    assert open_handover(FIRST, ORIGIN) == Handover(ORIGIN, ONE.vkey, TWO.vkey, 10)


@pytest.mark.parametrize("trusted", [ONE, TWO, THREE], ids=["the first key", "the second", "the third"])
@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_whoever_knows_one_key_reaches_all_others(trusted: Signer, order: tuple[str, str]):
    keys = chain(trusted, handovers=order)
    for size, key in ((0, ONE), (10, ONE), (11, TWO), (20, TWO), (21, THREE), (10**6, THREE)):
        assert keys.open(checkpoint(size, key)).size == size


@pytest.mark.parametrize(("size", "key"), [(11, ONE), (10, TWO), (21, TWO), (20, THREE), (25, ONE)])
def test_a_key_does_not_count_before_or_after_its_time(size: int, key: Signer):
    with pytest.raises(NoteError, match="does not count there"):
        chain(ONE).open(checkpoint(size, key))


def test_the_checkpoint_at_the_switch_is_accepted_by_those_who_know_either_key():
    note = checkpoint(12, TWO, ONE)
    for keys in (chain(ONE), chain(TWO), chain(ONE, handovers=()), chain(TWO, handovers=())):
        assert keys.open(note).size == 12


def test_a_second_signature_on_a_checkpoint_vouches_for_nobody():
    """Signature lines are not signed: a thief may add one to any old note."""
    keys = chain(ONE, handovers=())
    assert keys.open(checkpoint(5, ONE, THIEF)).size == 5
    with pytest.raises(NoteError, match="not signed by any trusted key"):
        keys.open(checkpoint(6, THIEF))


@pytest.mark.parametrize(
    "note",
    [
        sign_note(FIRST.rpartition("\n\n")[0] + "\n", ONE),
        sign_note(FIRST.rpartition("\n\n")[0] + "\n", TWO),
        sign_note(FIRST.rpartition("\n\n")[0] + "\n", THIEF, TWO),
        FIRST.replace("size 10", "size 11"),
        FIRST.replace("size 10", "size 010"),
        FIRST.replace("handover/v1", "handover/v2"),
        sign_handover(ORIGIN, 10, ONE, THIEF).replace(THIEF.vkey, TWO.vkey),
        checkpoint(10, ONE, TWO),
        "",
    ],
    ids=["old only", "new only", "thief for old", "size", "zeros", "format", "key swapped", "checkpoint", "empty"],
)
def test_what_is_not_signed_by_both_keys_leads_nowhere(note: str):
    keys = chain(ONE, handovers=())
    with pytest.raises(NoteError):
        keys.add(note)
    assert [key.vkey for key in keys.verifiers] == [ONE.vkey]


def test_a_handover_of_another_log_is_refused():
    theirs = sign_handover("other.example", 1, signer(1, "other.example"), signer(2, "other.example"))
    with pytest.raises(NoteError, match="of the log"):
        chain(ONE, handovers=()).add(theirs)
    with pytest.raises(NoteError, match="of the log"):
        open_handover(sign_handover(ORIGIN, 1, ONE, signer(2, "other.example")), ORIGIN)


def test_a_handover_between_strangers_adds_no_key():
    keys = chain(ONE, handovers=(sign_handover(ORIGIN, 3, THIEF, signer(8)),))
    assert [key.vkey for key in keys.verifiers] == [ONE.vkey]


def test_it_never_passes_for_a_checkpoint():
    with pytest.raises(NoteError):
        chain(ONE).open(FIRST)


def rotated(log: Any, *handovers: str, size: int = 5) -> bytes:
    """An export of a log of seven events whose key changed after five."""
    stream, old = io.BytesIO(), replace(log, signer=ONE)
    new = replace(log, signer=TWO)
    writer = PackWriter(stream, Header("log", ORIGIN, log.events[0].occurred_at, ORIGIN, (TWO.vkey, ONE.vkey)), TWO)
    for handover in handovers:
        writer.add_handover(handover)
    for event in log.events:
        if event.log_index == size:
            writer.add_checkpoint(old.checkpoint(size))
        writer.add_event(event)
    writer.add_checkpoint(new.checkpoint(7))
    writer.finish()
    return stream.getvalue()


@pytest.mark.parametrize("trusted", [ONE, TWO], ids=["old", "new"])
def test_an_export_across_a_rotation_verifies_with_either_key(log: Any, trusted: Signer):
    pack = rotated(log, sign_handover(ORIGIN, 5, ONE, TWO))
    report = verify_pack(io.BytesIO(pack), [trusted.vkey])
    assert report.ok, report.problems
    assert report.signed_by == (TWO.vkey,)
    held = replace(log, signer=ONE).checkpoint(4)
    assert verify_pack(io.BytesIO(pack), [trusted.vkey], held if trusted is ONE else None).ok


def test_an_export_whose_new_key_nobody_vouches_for_is_refused(log: Any):
    assert not verify_pack(io.BytesIO(rotated(log)), [ONE.vkey]).ok
    assert not verify_pack(io.BytesIO(rotated(log)), [TWO.vkey]).ok
    forged = sign_handover(ORIGIN, 5, THIEF, TWO)
    assert not verify_pack(io.BytesIO(rotated(log, forged)), [ONE.vkey]).ok
    early = sign_handover(ORIGIN, 4, ONE, TWO)  # then the old key had no say any more at 5
    assert not verify_pack(io.BytesIO(rotated(log, early)), [ONE.vkey]).ok
