"""Whether event schemas still fit those that were released: every stored event readable, every older reader able.

`schemas/released.json` holds the shape of every released type. `python -m registry_core.compatibility check schemas`
(part of `make check`) compares the code with it and explains what does not fit and what to do instead;
`… release schemas` (`make release-schemas`) takes what the code says now for released. Why compatibility is asked for
in both directions: docs/decisions/0015.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from registry_core.events import event_types

Schema = Mapping[str, Any]
STORED: Final = "events stored already"
READERS: Final = "services not upgraded yet and programs outside that read the topics"
_PROSE: Final = frozenset({"title", "description", "$schema", "$id", "$defs"})
_UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})


@dataclass(frozen=True, slots=True)
class Break:
    """One change that somebody cannot live with."""

    type: str
    field: str
    """Path in the body, e.g. `files[].size`; empty for the type itself."""
    change: str
    breaks: str
    """Whom: `STORED` or `READERS`."""

    def __str__(self) -> str:
        name, _, number = self.type.rpartition(".v")
        where = f"{self.type}, field {self.field}" if self.field else self.type
        return (
            f"{where}: {self.change}. This breaks {self.breaks}. Put {self.type} back as it was; declare "
            f"{name}.v{int(number) + 1} with a pure upcaster from it (docs/events.md)."
        )


def shapes() -> dict[str, Schema]:
    """The shape of every declared type: its topic's family, and its schema without prose and references."""
    return {
        name: {"family": event.family, "body": _plain(event.model_json_schema(mode="serialization"))}
        for name, event in event_types().items()
    }


def _plain(schema: Schema, definitions: Schema | None = None) -> dict[str, Any]:
    """References resolved, prose left out. Property names are never prose."""
    known = definitions or schema.get("$defs", {})
    if "$ref" in schema:
        target = known[schema["$ref"].removeprefix("#/$defs/")]
        return {**_plain(target, known), **_plain({k: v for k, v in schema.items() if k != "$ref"}, known)}
    return {key: _plain_member(key, value, known) for key, value in schema.items() if key not in _PROSE}


def _plain_member(key: str, value: Any, known: Schema) -> Any:
    match value:
        case dict() if key == "properties":
            return {name: _plain(member, known) for name, member in value.items()}
        case dict() if key not in ("default", "const"):
            return _plain(value, known)
        case list() if key == "anyOf":
            return [_plain(member, known) for member in value]
        case _:
            return value


def breaks(released: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[Break]:
    """Everything in which the current shapes do not fit the released ones. Types that were not released are free."""
    found: list[Break] = []
    for name, shape in released.items():
        if name not in current:
            found.append(Break(name, "", "the type is gone", STORED))
            continue
        if shape["family"] != current[name]["family"]:
            change = f"the family changed from {shape['family']} to {current[name]['family']}, and so the topic"
            found.append(Break(name, "", change, READERS))
        found += [Break(name, *rest) for rest in _compare(shape["body"], current[name]["body"], "")]
    return found


Difference = tuple[str, str, str]
"""Field, change, whom it breaks."""


def _compare(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        yield from _SPECIAL.get(key, _keyword(key))(old, new, path)


def _properties(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    before, after, required = old.get("properties", {}), new.get("properties", {}), new.get("required", ())
    added = [name for name in after if name not in before]
    for name in before:
        here = f"{path}.{name}".lstrip(".")
        if name in after:
            yield from _compare(before[name], after[name], here)
        else:
            same = next((other for other in added if after[other] == before[name]), None)
            renamed = f", or renamed to {same}" if same else ""
            yield here, f"the field is removed{renamed}; what stored events say in it would be lost", STORED
    for name in added:
        if name in required:
            yield f"{path}.{name}".lstrip("."), "a new field is required, and stored events do not have it", STORED


def _required(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    known = old.get("properties", {}).keys() & new.get("properties", {}).keys()
    for name in sorted(known & (after - before)):
        yield f"{path}.{name}".lstrip("."), "the field is required now, and stored events may lack it", STORED
    for name in sorted(known & (before - after)):
        yield f"{path}.{name}".lstrip("."), "the field may be absent now, and released code demands it", READERS


def _items(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    yield from _nested("items", "[]", old, new, path)


def _values(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    yield from _nested("additionalProperties", "{}", old, new, path)


def _nested(key: str, mark: str, old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    before, after = old.get(key), new.get(key)
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _compare(before, after, path + mark)
    else:
        yield from _keyword(key)(old, new, path)


def _choices(key: str) -> "Rule":
    def rule(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        before, after = _listed(old, key), _listed(new, key)
        if gone := [item for item in before if item not in after]:
            yield path, f"{_told(gone)} is no longer allowed ({key} narrowed)", STORED
        if added := [item for item in after if item not in before]:
            yield path, f"{_told(added)} is allowed besides ({key} widened), and released code refuses it", READERS

    return rule


def _listed(schema: Schema, key: str) -> list[Any]:
    """The alternatives; a schema without the keyword is its own only one."""
    if key in schema:
        return list(schema[key])
    return [{name: value for name, value in schema.items() if name != "default"}] if key == "anyOf" else []


def _told(items: list[Any]) -> str:
    return ", ".join(json.dumps(item) for item in items)


def _default(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    told = f"the default changed from {_told([old.get('default')])} to {_told([new.get('default')])}"
    yield path, f"{told}, so stored events without the field would say something else", STORED


def _keyword(key: str) -> "Rule":
    """A constraint: tighter breaks what is stored, looser breaks who reads; any other change may break both."""

    def rule(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        told = f"{key} changed from {_told([old.get(key)])} to {_told([new.get(key)])}"
        tighter, looser = _direction(key, old.get(key), new.get(key))
        if tighter:
            yield path, f"{told}, and stored events may not meet it", STORED
        if looser:
            yield path, f"{told}, and released code refuses what is new", READERS

    return rule


def _direction(key: str, before: Any, after: Any) -> tuple[bool, bool]:
    """Whether the constraint became tighter, and whether it became looser."""
    if before is None or after is None:
        return before is None, after is None
    if key in _UPPER:
        return after < before, after > before
    if key in _LOWER:
        return after > before, after < before
    return True, True


Rule = Callable[[Schema, Schema, str], Iterator[Difference]]
_SPECIAL: Final[Mapping[str, Rule]] = {
    "properties": _properties,
    "required": _required,
    "items": _items,
    "additionalProperties": _values,
    "enum": _choices("enum"),
    "anyOf": _choices("anyOf"),
    "default": _default,
}


def read(folder: Path) -> dict[str, Schema]:
    """The released shapes."""
    found: dict[str, Schema] = json.loads((folder / "released.json").read_text(encoding="utf-8"))
    return found


def write(folder: Path, shapes_now: Mapping[str, Schema]) -> None:
    """One type per line, so that a change is seen where it is."""
    lines = (f"{json.dumps(name)}: {json.dumps(shape, sort_keys=True)}" for name, shape in sorted(shapes_now.items()))
    (folder / "released.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main(command: str, folder: Path) -> int:
    """Exit code 1 with an explanation per break; `release` writes only what fits."""
    found = breaks(read(folder), shapes())
    for item in found:
        print(f"incompatible: {item}", file=sys.stderr)
    if not found and command == "release":
        write(folder, shapes())
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2])))
