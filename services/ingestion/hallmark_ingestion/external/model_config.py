"""What a repository's configuration files say of the model, beside its card: claims of the author, too. Pure.

`config.json` is written by transformers' `save_pretrained`, `adapter_config.json` by peft's, `tokenizer_config.json` by
a tokenizer's. They are parsed as JSON, bounded in size, and nothing that they name is loaded or fetched. What has the
wrong type is left out and told.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from registry_core.values import storable

FILES: Final = ("config.json", "adapter_config.json", "tokenizer_config.json")
LARGEST: Final = 1024 * 1024
"""Bytes of a configuration that are read."""
LONGEST: Final = 300
MOST: Final = 100
BASE: Final = {"config.json": "_name_or_path", "adapter_config.json": "base_model_name_or_path"}
"""The key that names the base model; what a tokenizer was made from is none."""
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY: Final = re.compile(f"{_NAME}(/{_NAME})?")


class Named(NamedTuple):
    """A repository that is named as the base, and the revision of it, where one is."""

    repository: str
    revision: str | None = None


def read_configs(contents: Mapping[str, bytes], own: str) -> dict[str, Any]:
    """What the files of `FILES` that are there say; `problems` tells what was not read. Never raises.

    `own` is the repository's name: a configuration that names itself names no base.
    """
    problems: list[str] = []
    found = {name: _parsed(name, contents[name], problems) for name in FILES if name in contents}
    main = found.get("config.json", {})
    return {
        "files": [*found],
        "base_model": [base._asdict() for base in _bases(found, own, problems)],
        "model_type": _text(main, "model_type", "config.json", problems),
        "architectures": _texts(main, "architectures", problems),
        "dtype": _text(main, "dtype" if "dtype" in main else "torch_dtype", "config.json", problems),
        "custom_code": dict(_custom_code(found, problems)),
        "problems": problems,
    }


def contradictions(card: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Where card and configurations name other base models. A card may name more than a configuration can."""
    said = card["base_model"]
    named = sorted({base["repository"] for base in config["base_model"]})
    against = [name for name in named if said and not _among(name, said)]
    found = [f"the card names {', '.join(said)[:LONGEST]} as base model, the configuration {name}" for name in against]
    if len(named) > 1:
        found.append(f"the configurations name several base models: {', '.join(named)}")
    return found


def _among(name: str, said: Iterable[str]) -> bool:
    """The hub does not tell upper from lower case, and knows old models without their organisation."""
    return any(name.lower() in (other.lower(), other.lower().rpartition("/")[2]) for other in said)


def is_repository(name: str) -> bool:
    return bool(_REPOSITORY.fullmatch(name)) and ".." not in name


def _parsed(name: str, content: bytes, problems: list[str]) -> dict[str, Any]:
    try:
        if len(content) > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")  # noqa: TRY301 - told as whatever else is wrong
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        problems.append(f"{name} is not read: {str(error)[:LONGEST]}")
        return {}
    if not isinstance(found, dict):
        problems.append(f"{name} is no JSON object")
        return {}
    return found


def _bases(found: Mapping[str, Mapping[str, Any]], own: str, problems: list[str]) -> Iterator[Named]:
    for file, key in BASE.items():
        content = found.get(file, {})
        name = _text(content, key, file, problems)
        if not name or name.lower() == own.lower():
            continue
        if is_repository(name):
            revision = _text(content, "revision", file, problems) if file == "adapter_config.json" else None
            yield Named(name, revision)
        else:
            problems.append(f"{file}: {key} is {_shown(name)}, which names no repository")


def _custom_code(found: Mapping[str, Mapping[str, Any]], problems: list[str]) -> Iterator[tuple[str, Any]]:
    """By file, the classes of the repository's own code that `trust_remote_code=True` would import and run."""
    for file, content in found.items():
        said = content.get("auto_map")
        if said is None:
            continue
        if isinstance(said, list):  # how older tokenizers write it
            said = {"AutoTokenizer": said}
        if not isinstance(said, dict):
            problems.append(f"{file}: auto_map is no object, and may still lead to code: {_shown(said)}")
            said = {"": said}
        if said:
            yield file, {str(name)[:LONGEST]: _code(value) for name, value in [*said.items()][:MOST] if storable(name)}


def _code(value: Any) -> str:
    """A class's place, `modeling_x.Model`; of a tokenizer the slow and the fast one."""
    named = value if isinstance(value, list) else [value]
    texts = [each for each in named if isinstance(each, str) and storable(each)]
    return ", ".join(texts)[:LONGEST] if texts else _shown(value)


def _text(content: Mapping[str, Any], key: str, file: str, problems: list[str]) -> str | None:
    said = content.get(key)
    if said is None or said == "":
        return None
    if not isinstance(said, str) or len(said) > LONGEST or not storable(said):
        problems.append(f"{file}: {key} is no short text: {_shown(said)}")
        return None
    return said


def _texts(content: Mapping[str, Any], key: str, problems: list[str]) -> list[str]:
    said = content.get(key)
    if said is None:
        return []
    if not isinstance(said, list) or not all(isinstance(s, str) and len(s) <= LONGEST and storable(s) for s in said):
        problems.append(f"config.json: {key} is no list of names: {_shown(said)}")
        return []
    return said[:MOST]


def _shown(value: Any) -> str:
    """ASCII alone, so that it can be stored and printed whatever it is."""
    return ascii(value)[:100]
