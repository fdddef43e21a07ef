"""Hostile pickles in every wrapping are never clean; what real libraries write is."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hallmark_scanner.artifacts import Limits, ScanReport, exit_code, report_as_json, scan_file
from hypothesis import given, settings
from hypothesis import strategies as st


class Gadget:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def scan(data: bytes, tmp_path: Path, name: str = "model.pkl") -> ScanReport:
    path = tmp_path / "file"
    path.write_bytes(data)
    return scan_file(path, name=name)


def rules(report: ScanReport) -> set[str]:
    return {finding.rule for finding in report.findings}


def system_call(protocol: int = 4) -> bytes:
    return pickle.dumps(Gadget(os.system, "true"), protocol=protocol)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, __import__, open])
def test_a_call_of_a_dangerous_function_is_malicious(function: Callable[..., object], protocol: int, tmp_path: Path):
    report = scan(pickle.dumps(Gadget(function, "1"), protocol=protocol), tmp_path)
    assert report.verdict == "malicious"
    assert exit_code(report) == 2
    assert "pickle-dangerous-global" in report_as_json(report)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"cos\nsystem\n(S'true'\ntR.", id="global"),
        pytest.param(b"(S'true'\nios\nsystem\n.", id="inst"),
        pytest.param(b"(cos\nsystem\nS'true'\no.", id="obj"),
        pytest.param(b"ccommands\ngetoutput\n(S'true'\ntR.", id="python-2-name"),
        pytest.param(b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93\x8c\x04true\x85R.", id="dotted"),
        pytest.param(b"\x80\x04\x8c\x02osq\x00\x8c\x06systemq\x0100h\x00h\x01\x93\x8c\x04true\x85R.", id="memo"),
        pytest.param(b"\x80\x04(\x8c\x05numpy\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R1N.", id="thrown-away"),
        pytest.param(b"\x80\x04N.cos\nsystem\n(S'true'\ntR.", id="second-pickle"),
        pytest.param(b"cos\nsystem\n(S'true'\ntRX", id="broken-afterwards"),
    ],
)
def test_every_spelling_of_a_gadget_is_malicious(data: bytes, tmp_path: Path):
    assert scan(data, tmp_path).verdict == "malicious"


def test_a_name_that_memo_tricks_compose_is_resolved(tmp_path: Path):
    composed = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940\x8c\x05numpy0h\x00h\x01\x93\x8c\x04true\x85R."
    assert _loads_gadget(composed)
    assert scan(composed, tmp_path).verdict == "malicious"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\x80\x02\x82\x01.", "pickle-extension-code"),
        (b"\x80\x04]\x8c\x06system\x93.", "pickle-unresolved-global"),
        (b"\x80\x04cnumpy\nndarray\n)R)R.", "pickle-computed-callable"),
        (b"\x80\x04cnumpy\nndarray\n}b.", "pickle-modifies-global"),
        (b"\x80\x04c_codecs\nencode\n\x8c\x01x\x8c\x03zip\x86R.", "pickle-unusual-argument"),
        (b"Pkey\n.", "pickle-persistent-id"),
        (b"\x80\x05\x97.", "pickle-external-buffer"),
        (b"\x80\x04cmy.models\nNet\n)\x81.", "pickle-unknown-global"),
        (b"\x80\x02I010\n.", "pickle-unreadable"),
        (b"\x80\x04\x80\x09N.", "pickle-unreadable"),
    ],
)
def test_what_no_library_writes_is_for_review(data: bytes, rule: str, tmp_path: Path):
    report = scan(data, tmp_path)
    assert rule in rules(report)
    assert report.verdict == "review"
    assert all(finding.fix for finding in report.findings)


def test_a_truncated_pickle_is_not_read_completely(tmp_path: Path):
    report = scan(pickle.dumps(np.arange(9.0))[:-20], tmp_path)
    assert (report.verdict, report.read_completely) == ("review", False)


def test_bytes_after_the_last_pickle_are_for_review(tmp_path: Path):
    report = scan(pickle.dumps([1]) + b"\x00\x01", tmp_path)
    assert (report.verdict, report.read_completely) == ("review", False)
    assert rules(report) == {"trailing-bytes"}


def test_several_harmless_pickles_in_one_file_are_clean(tmp_path: Path):
    assert scan(pickle.dumps({"a": 1}) + pickle.dumps([2.5]), tmp_path).verdict == "clean"


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_gadget_is_found(pack: Callable[[bytes], bytes], tmp_path: Path):
    assert scan(pack(system_call()), tmp_path, "model.joblib").verdict == "malicious"


def test_data_behind_a_compressed_stream_is_for_review(tmp_path: Path):
    report = scan(zlib.compress(pickle.dumps([1])) + b"more", tmp_path, "model.joblib")
    assert (report.verdict, report.read_completely) == ("review", False)


def test_a_gadget_beside_joblib_arrays_is_found(tmp_path: Path):
    joblib.dump([np.arange(64.0), Gadget(os.system, "true")], tmp_path / "model.joblib")
    assert scan_file(tmp_path / "model.joblib").verdict == "malicious"


def test_a_gadget_in_a_joblib_array_of_objects_is_found(tmp_path: Path):
    joblib.dump(np.array([1, Gadget(eval, "1")], dtype=object), tmp_path / "model.joblib")
    assert scan_file(tmp_path / "model.joblib").verdict == "malicious"


def test_a_gadget_that_only_plain_pickle_would_see_inside_array_bytes_is_found(tmp_path: Path):
    """joblib skips the array's bytes; `pickle.load` runs them as opcodes where no padding byte stops it."""
    payload = b"cos\nsystem\n(S'true'\ntR."
    buffer = io.BytesIO()
    joblib.dump(np.frombuffer(payload.ljust(32, b"."), dtype="u1"), buffer)
    data = buffer.getvalue()
    array = data.index(payload)
    padding = data.rindex(b"b", 0, array) + 1
    unaligned = data[:padding].replace(b"numpy_array_alignment_bytes", b"numpy_array_alignment_bytez")
    report = scan(unaligned + data[array:], tmp_path)
    assert report.verdict == "malicious"


def test_a_gadget_in_a_numpy_array_of_objects_is_found(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([Gadget(os.system, "true")], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([Gadget(os.system, "true")], dtype=object))
    assert scan_file(tmp_path / "a.npy").verdict == "malicious"
    assert scan_file(tmp_path / "a.npz").verdict == "malicious"


def test_a_gadget_under_a_text_name_is_found(tmp_path: Path):
    assert scan(b"cos\nsystem\n(S'true'\ntR.", tmp_path, "notes.txt").verdict == "malicious"


def test_an_endless_expansion_ends_at_the_limit(tmp_path: Path):
    path = tmp_path / "bomb.joblib"
    path.write_bytes(zlib.compress(b"\x80\x04B" + struct.pack("<I", 2**26) + bytes(2**26) + b".", 9))
    report = scan_file(path, limits=Limits(unpacked_bytes=2**20))
    assert (report.verdict, report.read_completely) == ("review", False)
    assert "limit-exceeded" in rules(report)


class _GadgetLoadedError(Exception):
    pass


class _Trap(pickle.Unpickler):
    """Stops at the first name that is not harmless, before anything is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("os", "posix", "subprocess", "builtins") and name != "set":
            raise _GadgetLoadedError
        raise pickle.UnpicklingError("not loaded in tests")


def _loads_gadget(data: bytes) -> bool:
    try:
        _Trap(io.BytesIO(data)).load()
    except _GadgetLoadedError:
        return True
    except Exception:
        return False
    return False


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_the_scan_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(data)
    report = scan_file(path)
    assert report.read_completely or report.verdict != "clean"


_GADGETS = [
    *(system_call(protocol) for protocol in range(6)),
    pickle.dumps([{"weights": [1.0, 2.0], "hook": Gadget(eval, "1+1")}, "tail"]),
    b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940\x8c\x05numpy0h\x00h\x01\x93\x8c\x04true\x85R.",
]


@st.composite
def mutated_gadgets(draw: st.DrawFn):
    data = bytearray(draw(st.sampled_from(_GADGETS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["replace", "insert", "delete", "duplicate"]))
        if kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "duplicate":
            data[at:at] = data[at : at + draw(st.integers(1, 12))]
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 4))]
        elif at < len(data):
            data[at] = draw(st.integers(0, 255))
    return bytes(data)


@settings(max_examples=600, deadline=None)
@given(mutated_gadgets())
def test_a_mutated_pickle_that_still_loads_its_gadget_is_never_clean(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
):
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(data)
    report = scan_file(path, name="model.pkl")
    if _loads_gadget(data):
        assert report.verdict != "clean"


def test_the_trap_of_these_tests_does_spring():
    assert all(_loads_gadget(data) for data in _GADGETS)


def test_a_zip_inside_a_zip_hides_nothing(tmp_path: Path):
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("weights.bin", system_call())
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.zip", inner.getvalue())
    report = scan(outer.getvalue(), tmp_path, "model.zip")
    assert report.verdict == "malicious"
    assert any("inner.zip!weights.bin" in finding.location for finding in report.findings)
