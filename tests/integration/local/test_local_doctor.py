"""The doctor's findings: true ones, each with its fix."""

import os
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest
from registry_core.local import doctor
from registry_core.local.errors import LocalStackError
from registry_core.local.ports import choose


def test_this_machine_can_run_the_local_stack(tmp_path: Path):
    findings = doctor.examine(tmp_path / "not" / "yet" / "there", port=choose())
    assert [check for check in findings if check.required and not check.ok] == []
    assert not (tmp_path / "not").exists()
    assert ("account" in {check.name for check in findings}) == (os.geteuid() == 0)


def test_an_old_python_is_told():
    check = doctor.check_python((3, 10))
    assert not check.ok
    assert "3.11" in check.fix
    assert doctor.check_python((3, 11)).ok


def test_a_program_that_is_missing_or_fails_is_told(tmp_path: Path):
    def missing() -> list[str]:
        raise LocalStackError("the package is missing")

    assert not doctor.check_runs("x", missing).ok
    assert not doctor.check_runs("x", lambda: [str(tmp_path / "absent")]).ok
    failing = doctor.check_runs("x", lambda: ["sh", "-c", "echo broken >&2; exit 3"])
    assert (failing.ok, failing.detail) == (False, "broken")
    assert "3" in failing.fix


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    assert not doctor.check_disk(tmp_path).ok


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check = doctor.check_port(taken.getsockname()[1])
        assert not check.ok
        assert check.fix


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert not doctor.check_writable(tmp_path / "file" / "data").ok
    assert doctor.check_writable(tmp_path / "data").ok


@pytest.mark.parametrize(("said", "ok"), [('openjdk version "11.0.2"', False), ('openjdk version "21.0.1"', True)])
def test_java_is_optional_and_must_be_new_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, ok: bool):
    launcher = tmp_path / "java"
    launcher.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    launcher.chmod(0o755)
    monkeypatch.setattr(doctor, "java", lambda: str(launcher))
    check = doctor.check_java()
    assert (check.ok, check.required) == (ok, False)
