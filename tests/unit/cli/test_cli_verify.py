"""`hallmark audit verify` finds whatever was done to a file, offline."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.cli.fakes import Export, Hallmark


@pytest.fixture
def pack(home: Path, export: Export) -> Path:
    path = home / "log.pack"
    path.write_bytes(export.raw)
    return path


def test_an_intact_file_exits_0(hallmark: Hallmark, pack: Path, export: Export):
    result = hallmark("audit", "verify", pack, "--key", export.vkey)
    assert result.exit_code == 0, result.output
    assert "Verified." in result.stdout


def test_without_a_key_it_says_that_it_trusted_on_first_use(hallmark: Hallmark, pack: Path):
    result = hallmark("audit", "verify", pack)
    assert result.exit_code == 0
    assert "first use" in result.stdout


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(data=st.data())
def test_one_flipped_byte_exits_1_and_names_its_line(
    hallmark: Hallmark, pack: Path, export: Export, data: st.DataObject
):
    place = data.draw(st.integers(0, len(export.raw) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(export.raw)
    damaged[place] ^= 1 << bit
    pack.write_bytes(damaged)
    result = hallmark("audit", "verify", pack, "--key", export.vkey, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (1, False)
    assert export.raw[:place].count(b"\n") + 1 in [found["line"] for found in report["problems"]]


@pytest.mark.parametrize("lines", [0, 1, 4, 8])
def test_a_cut_off_file_exits_1(hallmark: Hallmark, pack: Path, export: Export, lines: int):
    pack.write_bytes(b"".join(export.raw.splitlines(keepends=True)[:lines]))
    result = hallmark("audit", "verify", pack, "--key", export.vkey)
    assert result.exit_code == 1
    assert "NOT verified" in result.stdout


def test_a_file_signed_by_another_key_exits_1(hallmark: Hallmark, pack: Path, export: Export):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from registry_core.proofs.note import Signer

    other = Signer("hallmark.example/log", Ed25519PrivateKey.generate()).vkey
    assert hallmark("audit", "verify", pack, "--key", other).exit_code == 1


def test_a_held_checkpoint_has_to_be_in_the_file(hallmark: Hallmark, home: Path, pack: Path, export: Export):
    (home / "held").write_text(export.checkpoint)
    assert hallmark("audit", "verify", pack, "--key", export.vkey, "--held", home / "held").exit_code == 0
    (home / "held").write_text("nonsense")
    assert hallmark("audit", "verify", pack, "--key", export.vkey, "--held", home / "held").exit_code == 1


def test_the_checkpoint_that_held_can_be_kept_and_a_failed_one_is_not(
    hallmark: Hallmark, home: Path, pack: Path, export: Export
):
    hallmark("audit", "verify", pack, "--key", export.vkey, "--keep", home / "kept")
    assert hallmark("audit", "verify", pack, "--key", export.vkey, "--held", home / "kept").exit_code == 0
    pack.write_bytes(export.raw[:-1])
    hallmark("audit", "verify", pack, "--key", export.vkey, "--keep", home / "again")
    assert not (home / "again").exists()
