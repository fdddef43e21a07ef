"""C2SP signed notes and checkpoints: the specification's vector and everything it refuses."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.proofs.canonical import from_base64, to_base64
from registry_core.proofs.merkle import EMPTY_ROOT, ProofError
from registry_core.proofs.note import (
    Checkpoint,
    NoteError,
    Signer,
    Verifier,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    sign_checkpoint,
    sign_note,
    verify_advance,
)

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TEXT = "This is an example message.\n"
LINE = (
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
SIGNER = Signer("log.example/one", KEY)
OTHER = Signer("witness.example", Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
ROOT = to_base64(EMPTY_ROOT)
NO_BREAK_SPACE = "\u00a0"


def test_the_vector_of_the_specification_opens():
    note = open_note(f"{TEXT}\n{LINE}", [Verifier(VKEY)])
    assert note.text == TEXT
    assert [verifier.vkey for verifier in note.signed_by] == [VKEY]


@settings(deadline=None)
@given(st.integers(0, len(TEXT) - 2), st.characters(exclude_categories=["Cs", "Cc"]))
def test_any_other_text_under_the_vectors_signature_is_refused(at: int, letter: str):
    text = TEXT[:at] + letter + TEXT[at + 1 :]
    if text != TEXT:
        with pytest.raises(NoteError, match="does not hold"):
            open_note(f"{text}\n{LINE}", [Verifier(VKEY)])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32) | st.just("\n"), max_size=80))
def test_any_text_without_control_characters_opens_as_it_was_signed(text: str):
    assert open_note(sign_note(f"{text}\n", SIGNER, OTHER), [Verifier(SIGNER.vkey)]).text == f"{text}\n"


def test_a_text_may_hold_blank_lines():
    text = "one\n\ntwo\n\n"
    assert open_note(sign_note(text, SIGNER), [Verifier(SIGNER.vkey)]).text == text


def test_unknown_keys_are_ignored_and_known_ones_listed():
    note = open_note(sign_note(TEXT, OTHER, SIGNER, SIGNER), [Verifier(SIGNER.vkey)])
    assert [verifier.name for verifier in note.signed_by] == ["log.example/one"]
    with pytest.raises(NoteError, match="not signed by any trusted key"):
        open_note(sign_note(TEXT, OTHER), [Verifier(SIGNER.vkey)])
    with pytest.raises(NoteError, match="trusted: none"):
        open_note(sign_note(TEXT, OTHER), [])


def test_a_known_key_that_fails_refuses_the_whole_note():
    forged = SIGNER.sign("other\n")
    for signatures in (SIGNER.sign(TEXT) + forged, forged + SIGNER.sign(TEXT), OTHER.sign(TEXT) + forged):
        with pytest.raises(NoteError, match="does not hold"):
            open_note(f"{TEXT}\n{signatures}", [Verifier(SIGNER.vkey), Verifier(OTHER.vkey)])


def test_a_colliding_key_id_fails_instead_of_passing():
    impostor = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
    line = f"— {SIGNER.name} {to_base64(SIGNER.key_id + impostor.sign(TEXT.encode()))}\n"
    with pytest.raises(NoteError, match="does not hold"):
        open_note(f"{TEXT}\n{line}", [Verifier(SIGNER.vkey)])


def test_a_shared_name_or_id_alone_is_another_key():
    renamed = SIGNER.sign(TEXT).replace(SIGNER.name, "elsewhere.example")
    namesake = Signer(SIGNER.name, Ed25519PrivateKey.from_private_bytes(b"\x0a" * 32)).sign(TEXT)
    for line in (renamed, namesake):
        with pytest.raises(NoteError, match="not signed by any trusted key"):
            open_note(f"{TEXT}\n{line}", [Verifier(SIGNER.vkey)])


def test_sixteen_signatures_are_accepted_and_a_flood_is_not():
    assert open_note(f"{TEXT}\n{OTHER.sign(TEXT) * 15}{SIGNER.sign(TEXT)}", [Verifier(SIGNER.vkey)])
    with pytest.raises(NoteError, match="more than 100"):
        open_note(f"{TEXT}\n{SIGNER.sign(TEXT) * 101}", [Verifier(SIGNER.vkey)])
    with pytest.raises(NoteError, match="longer than"):
        open_note("x" * 1_000_001, [])


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("", "a blank line"),
        (TEXT, "a blank line"),
        (f"{TEXT}{LINE}", "a blank line"),
        (f"{TEXT}\n", "a blank line"),
        (f"{TEXT}\n{LINE[:-1]}", "end in a newline"),
        (f"{TEXT}\n{LINE}\n", "a blank line"),
        (f"{TEXT}\n{LINE}x\n", "em dash"),
        (f"{TEXT}\n{LINE.replace('— ', '- ')}", "em dash"),
        (f"{TEXT}\n{LINE.replace('— ', '—')}", "em dash"),
        (f"{TEXT}\n{LINE.replace('/foo ', '/f+o ')}", "key name"),
        (f"{TEXT}\n{LINE.replace('/foo ', f'/f{NO_BREAK_SPACE}o ')}", "key name"),
        (f"{TEXT}\n{LINE.replace('example.com/foo', '')}", "key name"),
        (f"{TEXT}\n{LINE.replace('aQM=', 'aQM')}", "not base64"),
        (f"{TEXT}\n{LINE.replace('aQM=', 'aQN=')}", "not base64"),
        (f"{TEXT}\n{LINE.replace('Uw2QOkn8srV1', 'Uw2QOkn8 srV1')}", "not base64"),
        (f"{TEXT}\n— example.com/foo {to_base64(b'four')}\n", "shorter"),
        (f"{TEXT}\n— example.com/foo\n", "shorter"),
        (f"a\tb\n\n{LINE}", r"U\+0009"),
        (f"a\r\n\n{LINE}", r"U\+000D"),
        (f"a\x00\n\n{LINE}", r"U\+0000"),
        (f"a\ud800\n\n{LINE}", "UTF-8"),
    ],
)
def test_a_malformed_note_is_refused_with_its_reason(note: str, reason: str):
    with pytest.raises(NoteError, match=reason):
        open_note(note, [Verifier(VKEY)])


def test_a_vkey_may_contain_a_plus_in_its_base64():
    signers = (Signer("plus.example", Ed25519PrivateKey.from_private_bytes(bytes([n] * 32))) for n in range(250))
    signer = next(signer for signer in signers if "+" in signer.vkey.split("+", 2)[2])
    assert open_note(sign_note(TEXT, signer), [Verifier(signer.vkey)]).text == TEXT


def test_two_trusted_keys_of_one_name_and_id_are_ambiguous():
    twin = Verifier(OTHER.vkey)
    twin.name, twin.key_id = SIGNER.name, SIGNER.key_id
    with pytest.raises(NoteError, match="share the name"):
        open_note(sign_note(TEXT, SIGNER), [Verifier(SIGNER.vkey), twin])


@pytest.mark.parametrize(
    ("vkey", "reason"),
    [
        ("", "not a verifier key"),
        ("example.com/foo", "not a verifier key"),
        (VKEY.replace("530d903a", "530d903b"), "key id 530d903b"),
        (VKEY.replace("530d903a", "530D903A"), "key id 530D903A"),
        (VKEY.replace("example.com", "example.org"), "key id"),
        (VKEY.replace("example.com/foo", "exam ple"), "key name"),
        (VKEY.replace("example.com/foo", ""), "key name"),
        (VKEY.replace("+A", "+B"), "of type 05"),
        (VKEY[:-4], "not a verifier key"),
        (VKEY.replace("ekyeR", "eky R"), "not a verifier key"),
    ],
)
def test_a_malformed_vkey_is_refused_with_its_reason(vkey: str, reason: str):
    with pytest.raises(NoteError, match=reason):
        Verifier(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x01b"])
def test_a_signer_needs_a_proper_name(name: str):
    with pytest.raises(NoteError, match=r"key name|control"):
        Signer(name, KEY)


@pytest.mark.parametrize("text", ["no newline", "", "tab\t\n", "\ud800\n"])
def test_what_is_no_note_text_is_not_signed(text: str):
    with pytest.raises(NoteError):
        SIGNER.sign(text)
    with pytest.raises(NoteError, match="at least one signer"):
        sign_note(TEXT)


@settings(deadline=None)
@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_opens_as_it_was_signed(size: int, root: bytes):
    note = sign_checkpoint(SIGNER.name, size, root, SIGNER)
    assert open_checkpoint(note, [Verifier(SIGNER.vkey)], SIGNER.name) == Checkpoint(SIGNER.name, size, root)


def test_a_checkpoint_has_exactly_three_lines():
    note = sign_checkpoint("log.example/one", 0, EMPTY_ROOT, SIGNER)
    assert note.startswith(f"log.example/one\n0\n{ROOT}\n\n— log.example/one ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "three lines"),
        (f"o\n1\n{ROOT}", "three lines"),
        ("o\n1\n", "three lines"),
        (f"\n1\n{ROOT}\n", "three lines"),
        (f"o\n1\n{ROOT}\n\n", "three lines"),
        (f"o\n1\n{ROOT}\n\nx\n", "three lines"),
        (f"o\n01\n{ROOT}\n", "leading zeros"),
        (f"o\n00\n{ROOT}\n", "leading zeros"),
        (f"o\n-1\n{ROOT}\n", "decimal"),
        (f"o\n+1\n{ROOT}\n", "decimal"),
        (f"o\n 1\n{ROOT}\n", "decimal"),
        (f"o\n1 \n{ROOT}\n", "decimal"),
        (f"o\n1_0\n{ROOT}\n", "decimal"),
        (f"o\n\u0661\n{ROOT}\n", "decimal"),
        (f"o\n{'9' * 30}\n{ROOT}\n", "decimal"),
        (f"o\n1\n{ROOT[:-1]}\n", "not base64"),
        (f"o\n1\n{ROOT.replace('+', '-').replace('/', '_')}\n", "not base64"),
        (f"o\n1\n{to_base64(b'short')}\n", "5 bytes"),
    ],
)
def test_a_malformed_checkpoint_is_refused_with_its_reason(text: str, reason: str):
    with pytest.raises(NoteError, match=reason):
        parse_checkpoint(text)


def test_extension_lines_are_kept_and_do_not_change_the_rest():
    assert parse_checkpoint(f"o\n7\n{ROOT}\nmore\n") == Checkpoint("o", 7, EMPTY_ROOT, ("more",))


@pytest.mark.parametrize(
    ("origin", "size", "root"), [("a\nb", 1, EMPTY_ROOT), ("", 1, EMPTY_ROOT), ("o", -1, EMPTY_ROOT)]
)
def test_what_is_no_checkpoint_is_not_signed(origin: str, size: int, root: bytes):
    with pytest.raises(NoteError):
        sign_checkpoint(origin, size, root, SIGNER)


def test_a_checkpoint_of_another_log_is_refused():
    verifiers = [Verifier(SIGNER.vkey), Verifier(OTHER.vkey)]
    with pytest.raises(NoteError, match=r"not of 'log\.example/two'"):
        open_checkpoint(sign_checkpoint("log.example/one", 0, EMPTY_ROOT, SIGNER), verifiers, "log.example/two")
    with pytest.raises(NoteError, match="none of the keys"):
        open_checkpoint(sign_checkpoint("log.example/one", 0, EMPTY_ROOT, OTHER), verifiers, "log.example/one")


def test_a_smaller_checkpoint_than_the_last_seen_is_a_rollback():
    held, newer = Checkpoint("o", 2, from_base64(ROOT)), Checkpoint("o", 1, EMPTY_ROOT)
    with pytest.raises(ProofError, match="rollback"):
        verify_advance(held, newer, [])
    with pytest.raises(NoteError, match="two logs"):
        verify_advance(held, Checkpoint("p", 3, EMPTY_ROOT), [])
    verify_advance(held, held, [])
