"""The trojan would run its command; here it is only read, never loaded."""

import ast
import pickletools
from pathlib import Path

import hallmark_demo
from hallmark_demo.pipeline.trojan import COMMAND, trojan_pickle, write_trojan


def test_loading_it_would_call_the_shell_with_the_command() -> None:
    opcodes = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(trojan_pickle())]
    assert opcodes == [
        ("GLOBAL", "os system"),
        ("MARK", None),
        ("UNICODE", COMMAND),
        ("TUPLE", None),
        ("REDUCE", None),
        ("STOP", None),
    ]


def test_the_command_only_prints() -> None:
    assert COMMAND.startswith("echo ")
    assert not set(COMMAND) & set(";&|<>$`\\\"'\n")


def test_the_file_is_named_by_its_digest_and_size(tmp_path: Path) -> None:
    written = write_trojan(tmp_path / "model.pkl")
    assert written.path.read_bytes() == trojan_pickle()
    assert written.file.size == len(trojan_pickle())


def test_nothing_in_the_demo_loads_a_pickle() -> None:
    loaders = {("pickle", "load"), ("pickle", "loads"), ("joblib", "load")}
    for path in Path(hallmark_demo.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in loaders, path.name
