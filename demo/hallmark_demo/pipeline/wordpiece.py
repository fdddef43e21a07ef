"""BERT's uncased WordPiece tokenizer (Devlin et al. 2018), from a model's `vocab.txt`."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

MAX_WORD = 100
"""A longer word is unknown as a whole, as in the original implementation."""

Vocabulary = Mapping[str, int]
_DROPPED = ("Cc", "Cf", "Co", "Cs")
_CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2FA1F), (0xF900, 0xFAFF))


def load_vocabulary(path: Path) -> Vocabulary:
    """Token to id: one token a line, the line number is its id."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return {token: i for i, token in enumerate(lines) if token}


def token_ids(text: str, vocabulary: Vocabulary, max_length: int) -> list[int]:
    """`[CLS] pieces [SEP]`, cut to `max_length` ids."""
    ids = [vocabulary[piece] for word in _words(text) for piece in _pieces(word, vocabulary)]
    return [vocabulary["[CLS]"], *ids[: max_length - 2], vocabulary["[SEP]"]]


def _words(text: str) -> list[str]:
    """Lower-cased words without accents; every punctuation mark and CJK character is a word of its own."""
    plain = (c for c in unicodedata.normalize("NFD", _clean(text).lower()) if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _stands_alone(c) else c for c in plain).split()


def _clean(text: str) -> str:
    """White space as spaces, control and format characters dropped."""
    kept = (" " if c in "\t\n\r" or unicodedata.category(c) == "Zs" else c for c in text)
    return "".join(c for c in kept if c not in "\0\ufffd" and unicodedata.category(c) not in _DROPPED)


def _stands_alone(char: str) -> bool:
    ascii_symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    cjk = any(first <= ord(char) <= last for first, last in _CJK)
    return ascii_symbol or cjk or unicodedata.category(char).startswith("P")


def _pieces(word: str, vocabulary: Vocabulary) -> list[str]:
    """The longest known piece from the left, again and again; `[UNK]` if some rest has none."""
    if len(word) > MAX_WORD:
        return ["[UNK]"]
    pieces: list[str] = []
    start = 0
    while start < len(word):
        piece = next(_known_pieces(word, start, vocabulary), None)
        if piece is None:
            return ["[UNK]"]
        start += len(piece) - 2 * (start > 0)
        pieces.append(piece)
    return pieces


def _known_pieces(word: str, start: int, vocabulary: Vocabulary) -> Iterator[str]:
    """Known pieces of `word` from `start` on, longest first; a piece inside a word begins with `##`."""
    prefix = "##" if start else ""
    candidates = (prefix + word[start:end] for end in range(len(word), start, -1))
    return (c for c in candidates if c in vocabulary)
