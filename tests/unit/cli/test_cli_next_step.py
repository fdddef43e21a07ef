"""No error of the SDK or the command line ends without its next step."""

import ast
from collections.abc import Iterator
from pathlib import Path

import hallmark
import pytest

PACKAGE = Path(hallmark.__file__).parent


def without_fix(text: str) -> Iterator[int]:
    """Lines where an error is made that says not what to do."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or any(keyword.arg == "fix" for keyword in node.keywords):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "HallmarkError" or (name == "fail" and len(node.args) < 2):
            yield node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_error_says_the_next_step(path: Path):
    assert list(without_fix(path.read_text())) == []


def test_one_that_does_not_is_seen():
    text = 'base.fail("no")\nbase.fail("no", "do")\nraise HallmarkError("A", "b")\nHallmarkError("A", "b", fix="c")\n'
    assert list(without_fix(text)) == [1, 3]
