"""Explicit YAML tags (YAML 1.2.2, 6.8 and 6.9): an unsafe loader makes objects of them, whatever the file's name."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from hallmark_scanner.readers.scan import Scan

_CORE = frozenset(
    (
        *("binary", "bool", "float", "int", "map", "merge", "null", "omap"),
        *("pairs", "seq", "set", "str", "timestamp", "value"),
    )
)
"""The types of yaml.org/type."""
_STANDARD = "tag:yaml.org,2002:"
_MOST_DIRECTIVES = 100
_DIRECTIVE = re.compile(r"^%TAG[ \t]+(.*)$", re.MULTILINE)
# A tag stands where a node may start. Text that is no YAML has lone `!`s, so only there a short `!tag` counts.
_ANYWHERE = re.compile(r"(?<![^\s\[\]{},:?-])(!<[^>\s]+>?|![\w-]*![\w%][^\s,\[\]{}]*)")
_SHORT = re.compile(r"(?:^|[:?-][ \t]+|[\[{,][ \t]*)(![\w%][^\s,\[\]{}!]*)", re.MULTILINE)
_SHORT_AFTER_KEY = re.compile(r"^[ \t]*(?:[\w\"'.-]+:|-)[ \t]+(![\w%][^\s,\[\]{}!]*)", re.MULTILINE)


def note_tags(text: str, where: str, scan: Scan, *, yaml: bool) -> None:
    """Note tags other than the core ones; those that name Python objects are what attacks are made of."""
    directives = [" ".join(unquote(found[1]).split()) for found in _DIRECTIVE.finditer(text)]
    # Under a directive any short tag may stand for a Python one, and the file is YAML for sure.
    short = _SHORT if yaml or directives else _SHORT_AFTER_KEY
    written = {unquote(found[1]) for pattern in (_ANYWHERE, short) for found in pattern.finditer(text)}
    tags = {full for tag in written for full in _meanings(tag, directives)}
    strange = sorted(tag for tag in tags if tag.removeprefix(_STANDARD) not in _CORE)
    if any("python/object" in tag for tag in strange):
        scan.note("yaml-python-object", where, "holds a tag that makes an unsafe loader call Python objects")
    for said in (*directives[:1], *strange[:1]):
        scan.note("yaml-object-tag", where, f"holds the YAML tag {said!r}, which an unsafe loader obeys")


def _meanings(tag: str, directives: list[str]) -> Iterator[str]:
    """What a tag stands for by default, and by every directive for its handle."""
    if tag.startswith("!<"):
        # The pattern takes unclosed ones as well, so that a flood of them costs one pass; they are no tags.
        yield from (tag[2:-1],) * tag.endswith(">")
        return
    yield _STANDARD + tag[2:] if tag.startswith("!!") else tag
    for handle, _, prefix in (directive.partition(" ") for directive in directives[:_MOST_DIRECTIVES]):
        if tag.startswith(handle):
            yield prefix.strip() + tag.removeprefix(handle)
