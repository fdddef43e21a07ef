"""Text files: JSON, Markdown, configuration, vocabularies, and code, which is never clean."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from hallmark_scanner.readers.scan import Scan
from hallmark_scanner.readers.sources import Source
from hallmark_scanner.readers.templates import reaches_out
from hallmark_scanner.readers.yaml_tags import note_tags

_CODE = frozenset(
    {
        ".bash",
        ".bat",
        ".c",
        ".cjs",
        ".cmd",
        ".cpp",
        ".csh",
        ".cu",
        ".dll",
        ".fish",
        ".htm",
        ".html",
        ".ipynb",
        ".js",
        ".jsx",
        ".lua",
        ".mjs",
        ".php",
        ".pl",
        ".ps1",
        ".psm1",
        ".py",
        ".pyi",
        ".pyw",
        ".pyx",
        ".r",
        ".rb",
        ".sh",
        ".so",
        ".svg",
        ".ts",
        ".tsx",
        ".vbs",
        ".xhtml",
        ".zsh",
    }
)
_YAML = frozenset({".yaml", ".yml"})
_TEMPLATES = frozenset({".j2", ".jinja", ".jinja2"})
_LAMBDAS = ("Lambda", "__lambda__")
_CHUNK = 1024 * 1024
_REMOTE_CODE = re.compile(
    r"auto_map|loader_module[\"']?\s*:|trust_remote_code[\"']?\s*[:=]\s*[\"']?(?!false|null|none|0)", re.IGNORECASE
)
_LAMBDA = re.compile(r"class_name[\"']?\s*:\s*[\"']?(?:Lambda|__lambda__)\b")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")


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
    if _PRIVATE_KEY.search(text):
        scan.note("private-key", source.name, "holds a private key")
    if suffix in _CODE or text.startswith("#!"):
        scan.note("program-code", source.name, "is program code")
        return "code"
    if suffix in _TEMPLATES:
        _note_template(text, source, scan)
    if suffix == ".json" or text.lstrip()[:1] in ("{", "["):
        return _scan_json(text, source, scan, must_parse=suffix == ".json")
    _scan_plain(text, source, scan)
    return "text"


def _scan_plain(text: str, source: Source, scan: Scan) -> None:
    path = PurePosixPath(source.name.rpartition("!")[2])
    yaml = path.suffix.lower() in _YAML or path.name == "MLmodel"
    found = _REMOTE_CODE.search(text)
    if found:
        scan.note("remote-code", source.name, f"says {found[0]!r}")
    if _LAMBDA.search(text):
        scan.note("keras-lambda", source.name, "names a Lambda layer")
    if yaml and "chat_template" in text:
        _note_template(text, source, scan)
    note_tags(text, source.name, scan, yaml=yaml)


def _note_template(template: str, source: Source, scan: Scan) -> None:
    if reaches_out(template):
        scan.note("template-code", source.name, "its template reaches for Python internals or other files")


def _scan_json(text: str, source: Source, scan: Scan, *, must_parse: bool) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if must_parse:
            scan.note("text-malformed", source.name, f"is no valid JSON: {error}")
        _scan_plain(text, source, scan)
        return "json" if must_parse else "text"
    for key, value in _members(document):
        _judge_member(key, value, source, scan)
    return "json"


def _judge_member(key: str, value: Any, source: Source, scan: Scan) -> None:
    if key in ("auto_map", "loader_module") or (key == "trust_remote_code" and value not in (False, None)):
        scan.note("remote-code", source.name, f"sets {key}, which makes the loader run the model's own code")
    if key == "class_name" and value in _LAMBDAS:
        scan.note("keras-lambda", source.name, "holds a Lambda layer")
    if "chat_template" in key:
        for template in _strings(value):
            _note_template(template, source, scan)


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _strings(value: Any) -> Iterator[str]:
    """A template stands alone or in a list of named ones."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict | list):
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
