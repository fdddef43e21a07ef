"""Cosignatures of witnesses, on a note that another implementation made."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.canonical import from_base64, to_base64
from registry_core.proofs.cosignature import WitnessKey, cosignatures
from registry_core.proofs.note import NoteError, Signer, Verifier, open_checkpoint
from support_witness import cosign, witness_vkey

LOG = "log.example/test+a4066e38+Af0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY"
WITNESS = "witness.example/w1+aa4a09d1+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
TEXT = "log.example/test\n7\nboo5iXsfWHzg8e6Xfs8Q3Jk3tXjXHZzGWHLJzfzE1kM=\n"
LOG_LINE = (
    "— log.example/test pAZuOE4kFxWjwPObYrDeW/nhopnM02dSAKgM6nfM3gn8s0rJDde2JdHhyiim0GuthUwPlcOfpf0Y2u19ZObiJw/izgA=\n"
)
LINE = (
    "— witness.example/w1 qkoJ0QAAAABrCtFUjSFTDbp0g+hLYJDJb6WLcum/jO59ImNrAlQICR+e/5/q3eBTmB1KitKU//HtSN7HYrfPYQUAr8ycK"
    "yYJh8bQDA==\n"
)
NOTE = f"{TEXT}\n{LOG_LINE}{LINE}"
"""Made with github.com/transparency-dev/formats v0.1.1 (`note.NewSignerForCosignatureV1`), which accepts it."""
KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)


def test_another_implementations_cosignature_holds_with_its_time() -> None:
    (found,) = cosignatures(NOTE, [WitnessKey(WITNESS)])
    assert (found.witness, found.line) == ("witness.example/w1", LINE)
    assert found.at == datetime.fromtimestamp(0x6B0AD154, UTC)


def test_the_logs_own_signature_holds_beside_it_and_is_no_cosignature() -> None:
    assert open_checkpoint(NOTE, [Verifier(LOG)], "log.example/test").size == 7
    assert cosignatures(f"{TEXT}\n{LOG_LINE}", [WitnessKey(WITNESS)]) == []


def test_what_is_made_here_has_the_same_form() -> None:
    note = f"{TEXT}\n{cosign(KEY, 'w.example', TEXT, 1_800_000_000)}"
    (found,) = cosignatures(note, [WitnessKey(witness_vkey(KEY, "w.example"))])
    assert found.at == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("changed", ["text", "time", "signature", "length"])
def test_a_changed_one_does_not_hold(changed: str) -> None:
    text, data = TEXT, bytearray(from_base64(LINE.split(" ")[2].strip()))
    match changed:
        case "text":
            text = TEXT.replace("\n7\n", "\n8\n")
        case "time":
            data[11] ^= 1
        case "signature":
            data[40] ^= 1
        case "length":
            data.append(0)
    note = f"{text}\n— witness.example/w1 {to_base64(bytes(data))}\n"
    with pytest.raises(NoteError, match="does not hold"):
        cosignatures(note, [WitnessKey(WITNESS)])


def test_a_time_that_is_no_date_does_not_hold() -> None:
    note = f"{TEXT}\n{cosign(KEY, 'w.example', TEXT, 2**64 - 1)}"
    with pytest.raises(NoteError, match="no date"):
        cosignatures(note, [WitnessKey(witness_vkey(KEY, "w.example"))])


def test_a_logs_key_is_no_witnesss_key_and_the_other_way_round() -> None:
    with pytest.raises(NoteError, match="04"):
        WitnessKey(LOG)
    with pytest.raises(NoteError, match="01"):
        Verifier(WITNESS)


def test_a_signature_of_another_kind_is_no_cosignature_though_the_key_is_the_same() -> None:
    """A witness that signs notes, too, has not thereby vouched for them: other key id, other message."""
    plain = Signer("w.example", KEY).sign(TEXT)
    assert cosignatures(f"{TEXT}\n{plain}", [WitnessKey(witness_vkey(KEY, "w.example"))]) == []
