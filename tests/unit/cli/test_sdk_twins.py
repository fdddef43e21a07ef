"""Both clients are one: what is written by hand is `hallmark.aio`, and users' editors see the types of both."""

import inspect
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from hallmark import AsyncClient, Client

ROOT = Path(__file__).parents[3]
GENERATOR = ROOT / "libs/hallmark/make_sync.py"


def methods(client: type) -> dict[str, object]:
    return {name: found for name, found in inspect.getmembers(client, callable) if not name.startswith("_")}


def test_the_blocking_half_is_what_is_made_of_the_asynchronous_one():
    done = subprocess.run([sys.executable, GENERATOR, "--check"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_has_no_blocking_form_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(str(GENERATOR.parent))
    import make_sync

    source = tmp_path / "aio" / "x.py"
    source.parent.mkdir()
    source.write_text("import asyncio\n\n\nasync def wait() -> None:\n    await asyncio.gather()\n")
    monkeypatch.setattr(make_sync, "SOURCE", source.parent)
    monkeypatch.setattr(make_sync, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"aio/x\.py, about line 1: 'import asyncio'"):
        make_sync.blocking(source)


def test_both_have_the_same_methods_with_the_same_arguments_and_answers():
    blocking, awaited = methods(Client), methods(AsyncClient)
    assert set(awaited) - set(blocking) == {"aclose"}
    assert set(blocking) - set(awaited) == {"close"}
    for name in set(blocking) & set(awaited) - {"retrying", "opened"}:  # these two take and give what is awaited
        ours, theirs = inspect.signature(blocking[name]), inspect.signature(awaited[name])
        assert list(ours.parameters.values()) == list(theirs.parameters.values()), name
        answer, expected = get_type_hints(blocking[name])["return"], get_type_hints(awaited[name])["return"]
        if get_origin(expected) is AsyncGenerator:
            expected = Generator[*get_args(expected), None]
        else:
            assert inspect.iscoroutinefunction(awaited[name]), name
        assert answer == expected, name


def test_a_type_checker_shows_the_answers_of_both(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "from hallmark import AsyncClient, Client\n\n\n"
        "async def ask() -> None:\n"
        "    reveal_type(Client().version('model:m@1.0.0'))\n"
        "    reveal_type(Client().files_of('model:m@1.0.0'))\n"
        "    async with AsyncClient() as hallmark:\n"
        "        reveal_type(await hallmark.version('model:m@1.0.0'))\n"
        "        reveal_type(await hallmark.files_of('model:m@1.0.0'))\n"
        "        hallmark.version(7)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", program]
    said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT).stdout
    assert said.count('Revealed type is "dict[str, Any]"') == 2
    assert said.count('Revealed type is "list[registry_core.values.File]"') == 2
    assert 'Argument 1 to "version" of "Versions" has incompatible type "int"' in said
