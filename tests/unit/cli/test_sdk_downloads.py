"""A file arrives whole and right, or not at all; it goes on where it broke off; no name leads out of the folder."""

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hallmark import Client, HallmarkError, UnreachableError
from hypothesis import given, settings
from hypothesis import strategies as st
from support_sdk import Connect
from unit.cli.conftest import answering
from unit.cli.fakes import FakeTime, Hallmark

REF = "model:m@1.0.0"
CONTENT = bytes(range(256)) * 40


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Server:
    """As much of ingestion as a download meets. `cuts`: bytes after which the next answers break off."""

    files: dict[str, bytes] = field(default_factory=lambda: {"w.bin": CONTENT})
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    described: list[dict[str, Any]] | None = None
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.partition("/files/")[2]
        if not name:
            return httpx.Response(200, json={"files": self.described or self._described()})
        self.asked.append(request)
        return self._file(self.files[name], request.headers.get("range"))

    def _described(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "digest": digest_of(content), "size": len(content), "uri": "file:///x"}
            for name, content in self.files.items()
        ]

    def _file(self, content: bytes, asked: str | None) -> httpx.Response:
        first = int(re.findall(r"\d+", asked)[0]) if asked and self.ranges else 0
        if first >= len(content) > 0:
            return httpx.Response(416, json={"detail": "no such range"})
        status = 206 if asked and self.ranges else 200
        headers = {"content-range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if status == 206 else {}
        return httpx.Response(status, stream=Breaking(content[first:], self.cuts), headers=headers)


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, content: bytes, cuts: list[int]) -> None:
        self._content, self._cut = content, cuts.pop(0) if cuts else None

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: self._cut]
        if self._cut is not None and self._cut < len(self._content):
            raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def client_of(
    connect: Connect, server: Callable[[httpx.Request], httpx.Response], time: FakeTime, seconds: float = 60
) -> AbstractContextManager[Client]:
    return connect("http://h.test", "t", time=time, seconds=seconds, transport=httpx.MockTransport(server))


def test_all_files_land_by_their_names(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    moved: list[int] = []
    server = Server({"w.bin": CONTENT, "deep/er/c.json": b"{}", "empty": b""})
    with client_of(connect, server, time) as hallmark:
        found = hallmark.download(REF, tmp_path / "to", progress=moved.append)
    assert {p.relative_to(tmp_path / "to").as_posix(): p.read_bytes() for p in files_in(tmp_path)} == server.files
    assert [file["outcome"] for file in found["files"]] == ["downloaded"] * 3
    assert sum(moved) == len(CONTENT) + 2


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@settings(max_examples=60)
@given(cuts=st.lists(st.integers(0, len(CONTENT) + 5), max_size=6), ranges=st.booleans())
def test_wherever_it_breaks_it_arrives_whole_and_is_counted_once(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool
) -> None:
    folder, moved, server = tmp_path_factory.mktemp("to"), list[int](), Server(cuts=[*cuts], ranges=ranges)
    with client_of(connect, server, FakeTime()) as hallmark:
        hallmark.download(REF, folder, progress=moved.append)
    assert [(path.name, path.read_bytes()) for path in files_in(folder)] == [("w.bin", CONTENT)]
    assert sum(moved) == len(CONTENT)


def test_it_asks_for_what_is_missing_alone(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    server = Server(cuts=[1000])
    with client_of(connect, server, time) as hallmark:
        hallmark.download(REF, tmp_path)
    assert server.asked[1].headers["range"] == "bytes=1000-"
    assert server.asked[1].headers["if-range"] == f'"{digest_of(CONTENT)}"'


def test_a_download_given_up_goes_on_the_next_time(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    server = Server(cuts=[5000])
    with client_of(connect, server, time, seconds=0) as hallmark, pytest.raises(UnreachableError):
        hallmark.download(REF, tmp_path)
    assert not (tmp_path / "w.bin").exists()
    with client_of(connect, server, time) as hallmark:
        hallmark.download(REF, tmp_path)
    assert server.asked[-1].headers["range"] == "bytes=5000-"
    assert [path.name for path in files_in(tmp_path)] == ["w.bin"]


def test_a_transfer_that_gets_on_is_not_given_up(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    def slowly(request: httpx.Request) -> httpx.Response:
        time.now += 50
        return server(request)

    server = Server(cuts=[100] * 20)
    with client_of(connect, slowly, time, seconds=60) as hallmark:
        hallmark.download(REF, tmp_path)
    assert time.now > 1000
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"x" * 5, CONTENT[:-1] + b"!", CONTENT + b"more", CONTENT])
def test_whatever_was_left_behind_only_the_right_content_lands(
    connect: Connect, time: FakeTime, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / f".{digest_of(CONTENT)[7:39]}.part").write_bytes(left)
    with client_of(connect, Server(), time) as hallmark:
        for _ in range(2):  # the beginning of other content is found out at the end, and thrown away
            try:
                hallmark.download(REF, tmp_path)
            except HallmarkError as error:
                assert error.title == "Wrong content"  # noqa: PT017 - sometimes it is right at once
                assert files_in(tmp_path) == []
    assert [path.read_bytes() for path in files_in(tmp_path)] == [CONTENT]


def test_wrong_content_is_refused_and_nothing_stays(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    server = Server()
    server.described = [{"name": "w.bin", "digest": digest_of(b"other"), "size": len(CONTENT), "uri": "file:///x"}]
    with client_of(connect, server, time) as hallmark, pytest.raises(HallmarkError, match="nothing of it was kept"):
        hallmark.download(REF, tmp_path)
    assert files_in(tmp_path) == []


def test_an_endless_answer_ends_where_the_file_does(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        if "/files/" not in request.url.path:
            return Server()(request)
        return httpx.Response(200, stream=Endless())

    with client_of(connect, endless, time) as hallmark, pytest.raises(HallmarkError, match="more than its 10240 bytes"):
        hallmark.download(REF, tmp_path)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["../w.bin", "/etc/x", "a/../../x", "a//b", ".", "..", "", "a\\..\\x", "C:x", "a\0b", ".w.part", "x\n", 7],
)
def test_a_name_from_the_server_that_leads_elsewhere_is_refused(
    connect: Connect, time: FakeTime, tmp_path: Path, name: object
) -> None:
    server = Server(described=[{"name": name, "digest": digest_of(CONTENT), "size": 1, "uri": "file:///x"}])
    with client_of(connect, server, time) as hallmark, pytest.raises(HallmarkError, match="no version can have"):
        hallmark.download(REF, tmp_path / "to")
    assert server.asked == []
    assert files_in(tmp_path) == []


def test_a_link_in_the_folder_leads_nobody_out_of_it(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "to" / "deep").symlink_to(tmp_path / "outside")
    with (
        client_of(connect, Server({"deep/w.bin": CONTENT}), time) as hallmark,
        pytest.raises(HallmarkError, match="leads out"),
    ):
        hallmark.download(REF, tmp_path / "to")
    assert files_in(tmp_path / "outside") == []


def test_a_partial_file_that_is_a_link_is_not_written_through(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    (tmp_path / f".{digest_of(CONTENT)[7:39]}.part").symlink_to(tmp_path / "precious")
    with client_of(connect, Server(), time) as hallmark, pytest.raises(OSError, match="part"):
        hallmark.download(REF, tmp_path)
    assert (tmp_path / "precious").read_bytes() == b"keep"


def test_what_is_there_and_the_same_is_not_sent(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(CONTENT)
    moved, server = list[int](), Server()
    with client_of(connect, server, time) as hallmark:
        found = hallmark.download(REF, tmp_path, progress=moved.append)
    assert (found["files"][0]["outcome"], server.asked, sum(moved)) == ("present", [], len(CONTENT))


def test_other_content_stays_unless_it_is_to_be_replaced(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"mine")
    server = Server({"a": b"a", "w.bin": CONTENT})
    with client_of(connect, server, time) as hallmark:
        with pytest.raises(HallmarkError, match="other content"):
            hallmark.download(REF, tmp_path)
        assert (server.asked, (tmp_path / "w.bin").read_bytes()) == ([], b"mine")
        hallmark.download(REF, tmp_path, overwrite=True)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_files_are_chosen_by_name_and_a_wrong_name_tells_the_right_ones(
    connect: Connect, time: FakeTime, tmp_path: Path
) -> None:
    server = Server({"w.bin": CONTENT, "c.json": b"{}"})
    with client_of(connect, server, time) as hallmark:
        hallmark.download(REF, tmp_path, ["c.json"])
        with pytest.raises(HallmarkError, match=r"no file d\.json; its files are: w\.bin, c\.json"):
            hallmark.download(REF, tmp_path, ["d.json"])
    assert [path.name for path in files_in(tmp_path)] == ["c.json"]


def test_a_file_that_was_never_uploaded_says_what_to_do(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    server = Server(described=[{"name": "w.bin", "digest": digest_of(CONTENT), "size": None, "uri": None}])
    with (
        client_of(connect, server, time) as hallmark,
        pytest.raises(HallmarkError, match="hallmark upload"),
    ):
        hallmark.download(REF, tmp_path)


def test_two_downloads_of_one_file_at_once_do_not_mix(connect: Connect, time: FakeTime, tmp_path: Path) -> None:
    def meanwhile(request: httpx.Request) -> httpx.Response:
        if "/files/" in request.url.path:
            with client_of(connect, Server(), time) as other, pytest.raises(HallmarkError, match="another download"):
                other.download(REF, tmp_path)
        return server(request)

    server = Server()
    with client_of(connect, meanwhile, time) as hallmark:
        hallmark.download(REF, tmp_path)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_a_full_disk_says_so(time: FakeTime, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs Linux's /dev/full")
    from hallmark.partial import Partial
    from registry_core.values import File

    file = File(name="w.bin", digest=digest_of(CONTENT), size=len(CONTENT))
    partial = Partial(tmp_path / "w.bin", file)
    with partial, open("/dev/full", "r+b", buffering=0) as full:
        partial._stream.close()
        partial._stream = full
        with pytest.raises(HallmarkError, match="make room there"):
            partial.write(CONTENT)


def test_the_command_says_what_landed(tmp_path: Path, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Server({"w.bin": CONTENT, "deep/c.json": b"{}"}))
    result = hallmark("download", REF, "--file", "deep/c.json", "--to", tmp_path / "to", "--json")
    (landed,) = json.loads(result.stdout)["files"]
    assert (result.exit_code, landed["path"]) == (0, str(tmp_path / "to" / "deep" / "c.json"))
    assert "w.bin" in hallmark("download", REF, "--to", tmp_path / "to").stdout
    (tmp_path / "to" / "w.bin").write_bytes(b"other")
    refused = hallmark("download", REF, "--to", tmp_path / "to")
    assert (refused.exit_code, "--overwrite" in refused.stderr) == (1, True)
