"""Text files: JSON, Markdown, configuration, vocabularies, and code, which is never clean."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.sources import Source

_CODE = frozenset(
    {
        ".bat",
        ".c",
        ".cpp",
        ".cu",
        ".dll",
        ".html",
        ".ipynb",
        ".js",
        ".lua",
        ".php",
        ".pl",
        ".ps1",
        ".py",
        ".pyi",
        ".pyx",
        ".r",
        ".rb",
        ".sh",
        ".so",
        ".svg",
        ".ts",
    }
)
_YAML = frozenset({".yaml", ".yml"})
_CHUNK = 1024 * 1024
_REMOTE_CODE = re.compile(r"auto_map|trust_remote_code[\"']?\s*[:=]\s*[\"']?(?!false|null|none|0)", re.IGNORECASE)


def is_text(source: Source) -> bool:
    """UTF-8 without control characters other than white space, in every byte."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    stream = source.open()
    try:
        while chunk := stream.read(_CHUNK):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def scan_text(source: Source, scan: Scan) -> str:
    """The format, `json`, `code` or `text`. Looks for what makes a loader run code of the model's own."""
    suffix = PurePosixPath(source.name).suffix.lower()
    if source.size > scan.limits.text_bytes:
        scan.note("limit-exceeded", source.name, f"is a text of more than {scan.limits.text_bytes} bytes")
        return "text"
    text = source.open().read().decode("utf-8")
    if suffix in _CODE or text.startswith("#!"):
        scan.note("program-code", source.name, "is program code")
        return "code"
    if suffix == ".json" or text.lstrip()[:1] in ("{", "["):
        return _scan_json(text, source, scan, must_parse=suffix == ".json")
    _scan_plain(text, source, scan, yaml=suffix in _YAML)
    return "text"


def _scan_plain(text: str, source: Source, scan: Scan, *, yaml: bool = False) -> None:
    found = _REMOTE_CODE.search(text)
    if found:
        scan.note("remote-code", source.name, f"says {found[0]!r}")
    if yaml and "!!python/" in text:
        scan.note("yaml-object-tag", source.name, "holds a !!python tag, which an unsafe loader obeys")


def _scan_json(text: str, source: Source, scan: Scan, *, must_parse: bool) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if must_parse:
            scan.note("text-malformed", source.name, f"is no valid JSON: {error}")
        _scan_plain(text, source, scan)
        return "json" if must_parse else "text"
    for key, value in _members(document):
        if key == "auto_map" or (key == "trust_remote_code" and value not in (False, None)):
            scan.note("remote-code", source.name, f"sets {key}, which makes the loader run the model's own code")
    return "json"


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
