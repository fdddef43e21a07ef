"""What the documents name is there: files, headings, folders, targets, settings, decision records."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from registry_core.settings import Settings

ROOT = Path(__file__).parents[3]
DECISIONS = ROOT / "docs" / "decisions"
NOT_OURS = {"var", "node_modules"}
CODE = {".py", ".sql", ".in", ".toml", ".yml", ".yaml", ".tpl"}

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}|\t).*\n)+", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"\b(?:href|src|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:|^//", re.IGNORECASE)
_MAKE = re.compile(r"^ *(?:\$ )?make((?: +[A-Za-z][\w-]*(?![\w=]))+)", re.MULTILINE)
_SETTING = re.compile(r"\bHALLMARK_[A-Z][A-Z_]*[A-Z]\b")


def ours(*suffixes: str) -> list[Path]:
    """Files of the tree with these suffixes, without what was installed or produced."""
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".") and top.name not in NOT_OURS]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.suffix in suffixes]
    return sorted(path for path in found if path.is_file() and not NOT_OURS.intersection(path.parts))


DOCUMENTS = ours(".md")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """The text without code, in which brackets are no links."""
    return _SPAN.sub("", _INDENTED.sub("\n", _FENCE.sub("", text)))


def code(text: str) -> str:
    """The code alone, one piece a line."""
    return "\n".join([*_FENCE.findall(text), *_INDENTED.findall(_FENCE.sub("", text)), *_SPAN.findall(text)])


def links(text: str) -> list[str]:
    plain = _FENCE.sub("", text)
    found = [*_INLINE_LINK.findall(prose(text)), *_REFERENCE.findall(plain), *_ATTRIBUTE.findall(plain)]
    return [link for link in found if not _ELSEWHERE.match(link)]


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to headings; a repeated one is numbered."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found | set(re.findall(r"\bid=\"([^\"]+)\"", text))


def broken(document: Path) -> Iterator[str]:
    for link in links(document.read_text(encoding="utf-8")):
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert list(broken(document)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[a](x.md) ![b](y.svg "t") <img src="z.png">', ["x.md", "y.svg", "z.png"]),
        ("[a][r]\n\n[r]: x.md", ["x.md"]),
        ("`[a](x.md)`\n\n    [b](y.md)\n\n```\n[c](z.md)\n```\n", []),
        ('[a](https://example.com/x) <a href="mailto:a@example.com">', []),
    ],
)
def test_links_are_found_where_a_reader_sees_them(text: str, found: list[str]) -> None:
    assert links(text) == found


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    document = tmp_path / "a.md"
    document.write_text("# A `b` (c)\n[1](#a-b-c) [2](#other) [3](missing.md) [4](a.md#a-b-c) [5](../)\n")
    assert list(broken(document)) == ["#other: no such heading", "missing.md: no such file", "../: no such file"]


def targets(pattern: str, text: str) -> set[Path]:
    return {(ROOT / "docs" / link).resolve() for link in re.findall(pattern, text)}


def boxes(path: str) -> set[Path]:
    """Where the boxes of a picture lead."""
    text = (ROOT / path).read_text(encoding="utf-8")
    picture = text if path.endswith(".svg") else text.partition("<pre>")[2].partition("</pre>")[0]
    return targets(r"href=\"(\.\./[^\"]+)\"", picture)


@pytest.mark.parametrize("picture", ["docs/architecture.md", "docs/architecture.svg"])
def test_every_box_of_the_picture_leads_to_its_code(picture: str) -> None:
    assert [name_of(target) for target in boxes(picture) if not target.exists()] == []
    assert members("services") <= boxes(picture)


def test_both_pictures_have_the_same_boxes() -> None:
    assert boxes("docs/architecture.md") == boxes("docs/architecture.svg")


def members(folder: str) -> set[Path]:
    return {path.parent for path in (ROOT / folder).glob("*/pyproject.toml")}


def test_the_architecture_links_every_service_and_library() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    linked = targets(r"(?:\]\(|href=\"|\]: )(\.\./[^)\"\s#]+)", text)
    missing = [member for member in members("services") | members("libs") if not _reached(member, linked)]
    assert [name_of(member) for member in missing] == []


def _reached(member: Path, linked: set[Path]) -> bool:
    return any(target.is_relative_to(member) for target in linked)


def records() -> list[Path]:
    return sorted(DECISIONS.glob("*.md"))


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [path.name[:5] for path in records()] == [f"{number:04}-" for number in range(1, len(records()) + 1)]


@pytest.mark.parametrize("record", records(), ids=lambda path: path.stem)
def test_a_decision_record_has_its_number_and_its_four_sections(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {record.name[:4]}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Status", "Context", "Decision", "Consequences"]
    assert [part for part in re.split(r"^## .+$", text, flags=re.MULTILINE) if not part.strip()] == []


def test_decisions_that_the_code_refers_to_exist() -> None:
    numbers = {path.name[:4] for path in records()}
    dangling = [
        f"{name_of(path)}: {number}"
        for path in ours(*CODE)
        for number in re.findall(r"docs/decisions/(\d{4})", path.read_text(encoding="utf-8"))
        if number not in numbers
    ]
    assert dangling == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_make_target_named_is_in_the_makefile(document: Path) -> None:
    named = {word for words in _MAKE.findall(code(document.read_text(encoding="utf-8"))) for word in words.split()}
    assert named - make_targets() == set()


def test_make_targets_are_seen_in_code_and_not_in_prose() -> None:
    text = "We make sure.\n\n    make install test ARGS=x  # comment\n\nRun `make up`, then `hallmark make it`.\n"
    assert _MAKE.findall(code(text)) == [" install test", " up"]


def known_variables() -> set[str]:
    """Settings, and what the command line, the tests and the Makefile read from the environment."""
    settings = {f"HALLMARK_{name.upper()}" for name in Settings.model_fields}
    read = [*ours(".py"), ROOT / "Makefile"]
    return settings.union(
        *(_SETTING.findall(path.read_text(encoding="utf-8")) for path in read if path != Path(__file__))
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_setting_named_exists(document: Path) -> None:
    assert set(_SETTING.findall(document.read_text(encoding="utf-8"))) - known_variables() == set()


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert re.findall(r"^   (\d)\. ", text, re.MULTILINE) == list("123456789")
    assert text.rstrip().endswith("limitations under the License.")
    assert len((ROOT / "NOTICE").read_text(encoding="utf-8").splitlines()) == 2
