"""A Hugging Face model card, read with huggingface_hub's own parser and kept as what it is: claims of its author. Pure.

The card's head is YAML. Aliases are refused before it is parsed, since a few lines of them stand for gigabytes; so is
what nests too deeply. What has the wrong type is left out and told.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from registry_core.values import storable

FORMAT: Final = "hallmark.model-card/v1"
MEDIA_TYPE: Final = "application/vnd.hallmark.model-card+json"
LARGEST_CARD: Final = 1024 * 1024
"""Bytes of README.md that are read."""
LARGEST_HEAD: Final = 128 * 1024
DEEPEST: Final = 20
MOST: Final = 500
"""Results, datasets or base models that are kept."""
LONGEST: Final = 300
LARGEST_SCORE: Final = 1e300
WANTED: Final = ("licence", "base_model", "datasets", "metrics", "results")
UNNAMED: Final = frozenset({"other", "unknown"})
"""What cards say for a licence that has no SPDX id."""


def read_card(content: bytes | None) -> dict[str, Any]:
    """What the card claims, what it lacks (`missing`), and why parts of it were not read (`problems`). Never raises."""
    problems: list[str] = []
    card = _parsed(content, problems)
    found: dict[str, Any] = {
        "format": FORMAT,
        "licence": _licence(card, problems),
        "base_model": _texts(card, "base_model", problems),
        "datasets": _texts(card, "datasets", problems),
        "metrics": _texts(card, "metrics", problems),
        "results": _results(card, problems),
    }
    return {**found, "missing": [name for name in WANTED if not found[name]], "problems": problems}


def as_json(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, indent=1, sort_keys=True, allow_nan=False).encode()


def _parsed(content: bytes | None, problems: list[str]) -> Any:
    """The card's data; None where there is none that can be read."""
    if content is None:
        problems.append("there is no README.md")
        return None
    try:
        text = _text(content)
        _check_head(text)
        return ModelCard(text, ignore_metadata_errors=True).data
    except Exception as error:  # of whatever a hostile card makes the parser raise
        problems.append(f"the card is not read: {' '.join(str(error).split())[:LONGEST] or type(error).__name__}")
        return None


def _text(content: bytes) -> str:
    if len(content) > LARGEST_CARD:
        raise ValueError(f"README.md has {len(content)} bytes; at most {LARGEST_CARD} are read")
    text = content.decode("utf-8")
    if not storable(text):
        raise ValueError("README.md holds NUL")
    return text


def _check_head(text: str) -> None:
    """Raises ValueError, or YAML's error, for a head that could stand for more than it is."""
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        raise ValueError("README.md has no metadata block")
    if len(head := match.group(2)) > LARGEST_HEAD:
        raise ValueError(f"its metadata has {len(head)} characters; at most {LARGEST_HEAD} are read")
    depth = 0
    for event in yaml.parse(head, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("its metadata uses YAML aliases, which can stand for any amount of data")  # noqa: TRY004 - no type of ours
        if isinstance(event, yaml.ScalarEvent) and not storable(event.value):
            raise ValueError("its metadata holds NUL, or half a surrogate pair")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"its metadata is nested more than {DEEPEST} deep")


def _licence(card: Any, problems: list[str]) -> str | None:
    """An SPDX id, as the hub writes them in lower case; None for what has none."""
    said = getattr(card, "license", None)
    if said is None:
        return None
    if not isinstance(said, str) or not 0 < len(said) <= 100:
        problems.append(f"license is no single name: {_shown(said)}")
        return None
    if said.lower() in UNNAMED:
        name = getattr(card, "license_name", None)
        problems.append(f"license is {said!r}, which is no licence{f'; it is called {_shown(name)}' if name else ''}")
        return None
    return said


def _texts(card: Any, name: str, problems: list[str]) -> list[str]:
    said = getattr(card, name, None)
    values = [said] if isinstance(said, str) else said
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) and len(value) <= LONGEST for value in values):
        problems.append(f"{name} is no list of names: {_shown(said)}")
        return []
    if len(values) > MOST:
        problems.append(f"{name} has {len(values)} entries; {MOST} are kept")
    return values[:MOST]


def _results(card: Any, problems: list[str]) -> list[dict[str, Any]]:
    """The scores of `model-index` that are numbers, each with task, dataset and metric."""
    said = getattr(card, "eval_results", None) or []
    if not isinstance(said, list):
        problems.append(f"its results are no list: {_shown(said)}")
        return []
    if len(said) > MOST:
        problems.append(f"it has {len(said)} results; {MOST} are kept")
    return [result for one in said[:MOST] for result in _result(one, problems)]


def _result(said: Any, problems: list[str]) -> Iterator[dict[str, Any]]:
    names = {name: getattr(said, name, None) for name in ("task_type", "dataset_type", "dataset_name", "metric_type")}
    names = {name: value[:LONGEST] for name, value in names.items() if isinstance(value, str)}
    value = getattr(said, "metric_value", None)
    number = _number(value)
    if "metric_type" not in names or number is None:
        problems.append(
            f"a result is no number of a named metric: {_shown(names.get('metric_type'))} = {_shown(value)}"
        )
        return
    yield {**names, "value": number, "verified": getattr(said, "verified", None) is True}


def _number(value: Any) -> float | None:
    """None for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_SCORE:
        return None
    return float(value)


def _shown(value: Any) -> str:
    return repr(value)[:100]
