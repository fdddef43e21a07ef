"""Registering uploads what is missing, and only that."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from hallmark import HallmarkError
from hallmark.files import described, named
from hallmark.outgoing import Outgoing
from hypothesis import given
from hypothesis import strategies as st
from registry_core.values import content_digest
from support_sdk import Connect
from unit.cli.fakes import FakeServer, FakeTime

REF = "model:m@1.0.0"


class Registry:
    """As much of ingestion as an upload meets; dies now and then."""

    def __init__(self, stored: set[str], lose: int = 0) -> None:
        self.stored, self.lose, self.bodies = set(stored), lose, dict[str, bytes]()
        self.names: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if request.method == "POST":
            import json

            self.names = [file["name"] for file in json.loads(request.content)["files"]]
            return httpx.Response(201, json={"ref": REF, "digest": "sha256:" + "0" * 64, "log_index": 1})
        if request.method == "GET":
            files = [{"name": name, "uri": "file:///x" if name in self.stored else None} for name in self.names]
            return httpx.Response(200, json={"files": files})
        if self.lose:
            self.lose -= 1
            raise httpx.ReadError("killed")
        name = request.url.path.partition("/files/")[2]
        self.bodies[name] = request.content
        return httpx.Response(200, json={"file": name})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_bytes(b"{}")
    (tmp_path / "model" / "deep" / "weights.bin").write_bytes(b"w" * 10)
    return tmp_path / "model"


def register(
    connect: Connect, registry: Registry, folder: Path, time: FakeTime, count: Callable[[int], object] = lambda _: None
) -> None:
    with connect("http://h.test", "t", time=time, transport=httpx.MockTransport(registry)) as hallmark:
        hallmark.register_version(REF, files=[folder], progress=count)


def test_a_folder_is_registered_by_the_paths_inside_it_and_uploaded(connect: Connect, folder: Path, time: FakeTime):
    registry, moved = Registry(set()), list[int]()
    register(connect, registry, folder, time, moved.append)
    assert registry.bodies == {"config.json": b"{}", "deep/weights.bin": b"w" * 10}
    assert sum(moved) == 12


def test_what_the_server_has_is_not_sent_again(connect: Connect, folder: Path, time: FakeTime):
    registry, moved = Registry({"config.json"}), list[int]()
    register(connect, registry, folder, time, moved.append)
    assert list(registry.bodies) == ["deep/weights.bin"]
    assert sum(moved) == 12


def test_an_upload_cut_off_is_sent_again_from_its_beginning(connect: Connect, folder: Path, time: FakeTime):
    registry, moved = Registry(set(), lose=3), list[int]()
    register(connect, registry, folder, time, moved.append)
    assert registry.bodies["deep/weights.bin"] == b"w" * 10
    assert sum(moved) == 12


@pytest.mark.parametrize(("files", "digest"), [([], None), (["x"], "sha256:" + "0" * 64)])
def test_a_version_is_files_or_a_digest(connect: Connect, files: list[str], digest: str | None):
    with connect("http://h.test", "t") as hallmark, pytest.raises(HallmarkError, match="either files or a digest"):
        hallmark.register_version(REF, files=files, digest=digest)


def test_files_that_would_take_one_name_are_refused(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_bytes(name.encode())
    with pytest.raises(HallmarkError, match=r"both be model\.bin"):
        named([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("make", [lambda p: p / "absent", lambda p: p])
def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path, make: Callable[[Path], Path]):
    with pytest.raises(HallmarkError, match="no file"):
        named([make(tmp_path)])


def test_a_name_that_versions_cannot_have_is_refused_before_anything_is_sent(tmp_path: Path):
    (tmp_path / "with space.bin").write_bytes(b"")
    with pytest.raises(HallmarkError, match="with space"):
        described(named([tmp_path / "with space.bin"]))


@given(contents=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=64), min_size=1))
def test_digests_and_sizes_are_those_of_the_files(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]):
    folder = tmp_path_factory.mktemp("files")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    found = described(named([folder]))
    assert {f.name: (f.digest, f.size) for f in found} == {
        name: (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content)) for name, content in contents.items()
    }
    assert content_digest(found).startswith("sha256:")


@given(content=st.binary(max_size=50), attempts=st.lists(st.integers(0, 3), max_size=5))
def test_progress_counts_a_file_once_however_often_it_was_begun(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, attempts: list[int]
):
    path = tmp_path_factory.mktemp("progress") / "f"
    path.write_bytes(content)
    moved: list[int] = []
    file = Outgoing(path, len(content), moved.append)
    for steps in attempts:
        begun = iter(file.whole())
        for _ in range(steps):
            next(begun, None)
    assert b"".join(file.whole()) == content
    assert sum(moved) == len(content)


def test_evidence_goes_as_it_is_with_its_type(connect: Connect, server: FakeServer, tmp_path: Path):
    server.will(httpx.Response(201, json={"digest": "sha256:0"}))
    (tmp_path / "bom.json").write_bytes(b' {"bomFormat": "CycloneDX"}')
    with connect() as hallmark:
        hallmark.attach_evidence(REF, "sbom", tmp_path / "bom.json")
    request = server.requests[-1]
    assert request.url.params["type"] == "sbom"
    assert request.headers["content-type"] == "application/json"
    assert request.content == b' {"bomFormat": "CycloneDX"}'
