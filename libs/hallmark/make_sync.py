"""Makes the SDK's blocking half from its asynchronous one: `hallmark/aio/x.py` becomes `hallmark/x.py`.

    python libs/hallmark/make_sync.py [--check]

`hallmark.aio` is what is written by hand. What differs between the two is listed in `RULES`, and nothing else may: a
result that still speaks of an event loop is an error. `--check` changes nothing and exits with 1 where a file differs.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent / "hallmark"
SOURCE: Final = PACKAGE / "aio"
RULES: Final = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\banyio\.to_thread\.run_sync\(([\w.]+)(, )?", r"\1("),  # a thread of its own is for file I/O on a loop alone
    (r"\banyio\.sleep\b", "time.sleep"),
    (r"^import anyio(\.to_thread)?\n", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\ba(close|read|iter_bytes|iter_lines)\b", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\benter_async_context\b", "enter_context"),
    (r"\bAsync(Client|Session|Retry|BaseTransport|ExitStack|Generator|Iterator)\b", r"\1"),
    (r"\bhallmark\.aio\b", "hallmark"),
)
LEFT: Final = re.compile(r"\b(async|await|anyio|asyncio|event loop)\b|\bAsync[A-Z]")


def generated() -> dict[Path, str]:
    """Every file of the blocking half with what has to be in it."""
    modules = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]
    return {PACKAGE / path.relative_to(SOURCE): blocking(path) for path in modules}


def blocking(path: Path) -> str:
    """A module without its event loop. Raises ValueError for a line that the rules do not know."""
    name = path.relative_to(SOURCE.parent).as_posix()
    text = path.read_text()
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    for number, line in enumerate(text.splitlines(), 1):
        if LEFT.search(line):
            raise ValueError(f"{name}, about line {number}: {line.strip()!r} has no blocking form; add it to RULES")
    return _tidy(f"# Made from {name} by `make sdk`: change it there.\n{text}", PACKAGE / path.relative_to(SOURCE))


def _tidy(text: str, target: Path) -> str:
    """Imports that nothing needs any more go, what fits into a line comes into one."""
    for command in (("check", "--quiet", "--fix-only", "--select", "F401,I"), ("format", "--quiet")):
        ruff = [Path(sys.executable).with_name("ruff"), *command, "--stdin-filename", target, "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    return text


def main(*arguments: str) -> int:
    made = generated()
    differing = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in differing:
        if "--check" in arguments:
            print(f"{path.relative_to(PACKAGE)} is not what `make sdk` makes of hallmark/aio: run it", file=sys.stderr)
        else:
            path.write_text(made[path])
    return int(bool(differing) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
