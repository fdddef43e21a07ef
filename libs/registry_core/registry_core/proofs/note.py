"""Signed notes with Ed25519 (C2SP signed-note) and log checkpoints in them (C2SP tlog-checkpoint)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry_core.proofs.canonical import from_base64, to_base64
from registry_core.proofs.merkle import HASH_SIZE, verify_consistency

ED25519 = b"\x01"
MOST_SIGNATURES = 100
LARGEST_NOTE = 1_000_000
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteError(ValueError):
    """A note, key or checkpoint that is malformed or not signed as it has to be."""


class Signer:
    """Signs notes under a key name, for a log its origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name, self._key = _checked_name(name), key
        self.key_id = key_id_of(name, ED25519, key.public_key())

    @property
    def vkey(self) -> str:
        """What verifiers need: `<name>+<key id in hex>+<base64 of 0x01 and the public key>`."""
        public = self._key.public_key().public_bytes_raw()
        return f"{self.name}+{self.key_id.hex()}+{to_base64(ED25519 + public)}"

    def sign(self, text: str) -> str:
        """The signature line for a note's text. Raises NoteError for a text that no note can carry."""
        if not text.endswith("\n"):
            raise NoteError("the text of a note ends in a newline")
        return f"— {self.name} {to_base64(self.key_id + self._key.sign(_checked_text(text)))}\n"


class Verifier:
    """A trusted key. Raises NoteError for a malformed vkey or one whose key id is not its key's."""

    algorithm: ClassVar[bytes] = ED25519
    _expects: ClassVar[str] = "only Ed25519 (01) is known here"

    def __init__(self, vkey: str) -> None:
        try:
            name, key_id, encoded = vkey.split("+", 2)  # the base64 may contain "+" too
            key = from_base64(encoded)
            self.name, self.key_id = _checked_name(name), bytes.fromhex(key_id)
            self._key = Ed25519PublicKey.from_public_bytes(key[1:])
        except ValueError as error:
            raise NoteError(f"{vkey[:120]!r} is not a verifier key (name+hash+base64): {error}") from None
        self.vkey = vkey
        if key[:1] != self.algorithm:
            raise NoteError(f"the verifier key of {name} is of type {key[:1].hex()}; {self._expects}")
        if key_id != key_id_of(name, self.algorithm, self._key).hex():
            raise NoteError(f"the verifier key of {name} has the key id {key_id[:8]}, which is not that of its key")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was opened: at least one given key signed the text."""

    text: str
    signed_by: tuple[Verifier, ...]


def sign_note(text: str, *signers: Signer) -> str:
    """The whole note: text, blank line, one line per signer."""
    if not signers:
        raise NoteError("a note needs at least one signer")
    return f"{text}\n{''.join(signer.sign(text) for signer in signers)}"


def open_note(note: str, verifiers: Sequence[Verifier]) -> Note:
    """Check a note; unknown keys are ignored, a known key whose signature fails refuses the whole. Raises NoteError."""
    text, lines = split_note(note)
    message = text.encode()
    known = _by_key(verifiers)
    signed_by: dict[tuple[str, bytes], Verifier] = {}
    for name, key_id, signature in map(parse_line, lines):
        if (verifier := known.get((name, key_id))) is None:
            continue
        if not verifier.verifies(message, signature):
            raise NoteError(f"the signature of {name} does not hold: the text was changed or another key signed it")
        signed_by[name, key_id] = verifier
    if not signed_by:
        wanted = ", ".join(verifier.name for verifier in verifiers) or "none"
        raise NoteError(f"not signed by any trusted key (trusted: {wanted})")
    return Note(text, tuple(signed_by.values()))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Opaque further lines, not recommended and not written here."""


def sign_checkpoint(origin: str, size: int, root: bytes, *signers: Signer) -> str:
    """The checkpoint note; two signers where the key changes. Raises NoteError for what is no checkpoint."""
    text = f"{origin}\n{size}\n{to_base64(root)}\n"
    if parse_checkpoint(text) != Checkpoint(origin, size, root):
        raise NoteError("the origin is one line")
    return sign_note(text, *signers)


def parse_checkpoint(text: str) -> Checkpoint:
    """The text of an opened note, not the note itself. Raises NoteError."""
    if not text.endswith("\n") or "" in (lines := text[:-1].split("\n")) or len(lines) < 3:
        raise NoteError("a checkpoint is at least three lines, none empty: origin, size and root")
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size):
        raise NoteError(f"the checkpoint's size {size[:40]!r} is not a decimal number without leading zeros")
    return Checkpoint(origin, int(size), _root(root), tuple(extensions))


def open_checkpoint(note: str, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    """The checkpoint of the log `origin`, signed by a trusted key of that name. Raises NoteError."""
    opened = open_note(note, verifiers)
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != origin:
        raise NoteError(f"the checkpoint is of the log {checkpoint.origin[:100]!r}, not of {origin!r}")
    if origin not in (verifier.name for verifier in opened.signed_by):
        raise NoteError(f"none of the keys that signed the checkpoint is named {origin!r}, as the log's own is")
    return checkpoint


def verify_advance(held: Checkpoint, newer: Checkpoint, proof: Sequence[bytes]) -> None:
    """That a newer checkpoint extends the one last seen.

    Raises ProofError for a rollback or a rewritten log, NoteError for another log.
    """
    if held.origin != newer.origin:
        raise NoteError(f"checkpoints of two logs: {held.origin!r} and {newer.origin!r}")
    verify_consistency(held.size, newer.size, proof, held.root, newer.root)


def split_note(note: str) -> tuple[str, list[str]]:
    """Text and signature lines, cut at the last blank line."""
    if len(note) > LARGEST_NOTE:
        raise NoteError(f"the note is longer than {LARGEST_NOTE} characters")
    _checked_text(note)
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise NoteError("a note is a text, a blank line, and signature lines that each end in a newline")
    lines = signatures[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(f"the note has more than {MOST_SIGNATURES} signatures")
    return f"{text}\n", lines


def parse_line(line: str) -> tuple[str, bytes, bytes]:
    """(key name, key id, signature) of `— <name> <base64>`."""
    dash, name, encoded = [*line.split(" ", 2), "", ""][:3]
    if dash != "—":
        raise NoteError(f"the signature line {line[:60]!r} does not start with an em dash and a space")
    try:
        data = from_base64(encoded)
    except ValueError as error:
        raise NoteError(f"the signature of {name[:60]!r} is not base64: {error}") from None
    if len(data) < 5:
        raise NoteError(f"the signature of {name[:60]!r} is shorter than a key id and one byte")
    return _checked_name(name), data[:4], data[4:]


def _by_key(verifiers: Sequence[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier).vkey != verifier.vkey:
            raise NoteError(f"two trusted keys share the name {verifier.name} and a key id; trust one of them")
    return known


def _checked_text(text: str) -> bytes:
    if control := _CONTROL.search(text):
        raise NoteError(f"a note has no control characters, but U+{ord(control[0]):04X} at {control.start()}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteError(f"a note is UTF-8: {error}") from None


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteError(f"the key name {name[:60]!r} is empty or contains a space or '+'")
    _checked_text(name)
    return name


def key_id_of(name: str, algorithm: bytes, public: Ed25519PublicKey) -> bytes:
    """Four bytes that tell keys apart (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + algorithm + public.public_bytes_raw()).digest()[:4]


def _root(text: str) -> bytes:
    try:
        root = from_base64(text)
    except ValueError as error:
        raise NoteError(f"the checkpoint's root is not base64: {error}") from None
    if len(root) != HASH_SIZE:
        raise NoteError(f"the checkpoint's root has {len(root)} bytes, not {HASH_SIZE}")
    return root
