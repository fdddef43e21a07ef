"""A file that grows under its own lock, and chunks that are gathered without losing any."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_core.appending import BusyError, gathered, held, write_file


def test_only_one_at_a_time_has_the_file(tmp_path: Path) -> None:
    with held(tmp_path / "deep" / "f", new=True) as file:
        file.write(b"one")
        with pytest.raises(BusyError), held(tmp_path / "deep" / "f"):
            pass
    with held(tmp_path / "deep" / "f") as file:
        assert file.read() == b"one"


def test_a_file_that_became_an_object_while_it_was_opened_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, whoever had the lock linked it to its digest and took its own name away."""
    path, stored = tmp_path / "incoming", tmp_path / "object"
    path.write_bytes(b"verified")

    def lock_after_it_was_finished(*_: object) -> None:
        stored.hardlink_to(path)
        path.unlink()

    monkeypatch.setattr("registry_core.appending.fcntl.flock", lock_after_it_was_finished)
    with pytest.raises(BusyError), held(path) as file:
        file.write(b"!")
    assert stored.read_bytes() == b"verified"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    (tmp_path / "f").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="f"), held(tmp_path / "f", new=True):
        pass


async def streamed(chunks: list[bytes], *, breaks: bool) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if breaks:
        raise ConnectionResetError


@given(chunks=st.lists(st.binary(max_size=20)), size=st.integers(1, 40), breaks=st.booleans())
def test_gathered_chunks_are_the_same_bytes_also_before_a_break(chunks: list[bytes], size: int, breaks: bool) -> None:
    async def gather() -> tuple[list[bytes], bool]:
        found: list[bytes] = []
        try:
            async for chunk in gathered(streamed(chunks, breaks=breaks), size):
                found.append(chunk)
        except ConnectionResetError:
            return found, True
        return found, False

    found, broke = asyncio.run(gather())
    assert (b"".join(found), broke) == (b"".join(chunks), breaks)
    assert all(len(chunk) >= size for chunk in found[:-1])


async def test_a_file_whose_content_breaks_off_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        await write_file(tmp_path / "f", streamed([b"half"], breaks=True))
    await write_file(tmp_path / "g", streamed([b"who", b"le"], breaks=False))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"g": b"whole"}
