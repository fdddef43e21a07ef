"""A model file that would run a command when loaded. Nothing in this project ever loads it; a scanner must refuse it.

The command only prints a sentence. The pickle is assembled from opcodes (`pickletools` documents them), so that
making it needs neither a class with `__reduce__` nor the pickle module.
"""

from pathlib import Path

from hallmark_demo.pipeline.artifacts import LocalFile, local_file

COMMAND = "echo this model file ran a command while it was being loaded"


def trojan_pickle() -> bytes:
    """Pickle protocol 0 that calls `os.system(COMMAND)` on load."""
    look_up = b"cos\nsystem\n"
    arguments = b"(V" + COMMAND.encode("ascii") + b"\ntR"
    return look_up + arguments + b"."


def write_trojan(path: Path) -> LocalFile:
    """Write it under an innocent name such as `model.pkl`."""
    path.write_bytes(trojan_pickle())
    return local_file(path)
