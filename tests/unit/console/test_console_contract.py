"""The documented contract of the views, and colours that can be read."""

import re
from pathlib import Path

import pytest
from hallmark_console.assets import ASSETS
from hallmark_console.projections import PROJECTIONS
from registry_core.projections import Projection

DOCS = Path(__file__).parents[3] / "docs" / "views.md"
ROW = re.compile(r"^\| `(\w+)` \| `([\w ]+)` \| (.+) \|$", re.MULTILINE)


def documented(view: str) -> list[tuple[str, str]]:
    section = DOCS.read_text().split(f"\n## `{view}`\n")[1].split("\n## ")[0]
    return [(name, sql_type) for name, sql_type, meaning in ROW.findall(section) if meaning.strip()]


def declared(projection: Projection) -> list[tuple[str, str]]:
    lines = [line.strip().split(" ", 1) for line in projection.columns.strip().split(",\n")]
    return [("key", "text"), ("log_index", "bigint"), *((name, sql_type) for name, sql_type in lines)]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
def test_documentation_and_columns_agree(projection: Projection) -> None:
    assert documented(projection.name) == declared(projection)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour * 2 if len(colour) == 3 else colour
    digits = "".join(c * 2 for c in colour) if len(colour) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TONES = ("good", "bad", "warn", "info", "plain")
PAIRS = [
    *((text, ground) for text in ("text", "muted", "accent") for ground in ("card", "ground", "sunken")),
    *((tone, f"{tone}-ground") for tone in TONES),
    *((tone, "card") for tone in ("good", "bad", "warn")),
    *(("text", f"{tone}-ground") for tone in TONES),
    ("card", "bad"),
    ("on-accent", "accent"),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read_on_its_ground(scheme: int, text: str, ground: str) -> None:
    block = re.findall(r":root \{(.*?)\}", ASSETS["console.css"].body.decode(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): #(\w+)", block))
    assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
