"""`hallmark up` as a user runs it: a process of its own, stopped with Ctrl-C."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

import httpx
import psutil
import pytest
from hallmark import Client, HallmarkError
from hallmark.session import Retry

HALLMARK = Path(sys.executable).with_name("hallmark")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HALLMARK_")}
pytestmark = pytest.mark.timeout(300)


@dataclass
class Up:
    """A running `hallmark up` and what it has printed until it was ready."""

    process: subprocess.Popen[str]
    output: str

    @property
    def url(self) -> str:
        return self._found(r"runs at (http://127\.0\.0\.1:\d+)")

    @property
    def token(self) -> str:
        return self._found(r"export HALLMARK_TOKEN=(hmk_\w+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.output)
        assert match, self.output
        return match[1]

    def client(self, token: str | None = None, patience: float = 20) -> Client:
        return Client(self.url, token or self.token, retry=Retry(patience))

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> psutil.Process:
        """The server itself, not the processes that it has started."""
        (found,) = [c for c in psutil.Process(self.process.pid).children() if c.name() == name]
        return found

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


Start = Callable[..., Up]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that the account which root's PostgreSQL runs as can enter."""
    with tempfile.TemporaryDirectory(prefix="hallmark-up-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name) / "var"


def processes_on(data: Path) -> list[psutil.Process]:
    """Whoever has the folder in the command line."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if any(str(data) in part for part in process.info["cmdline"] or [])]


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    """`start("--port", …)`: run it on `data` and wait until it says that it is ready."""
    running: list[subprocess.Popen[str]] = []

    def run(*options: str, **environment: str) -> Up:
        argv = [str(HALLMARK), "up", "--data", str(data), "--services", "ledger,ingestion", *options]
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT | environment
        )
        running.append(process)
        assert process.stdout is not None
        return Up(process, _until_ready(process.stdout))

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _until_ready(stream: IO[str]) -> str:
    """What is printed up to the last line of either announcement."""
    lines = []
    for line in stream:
        lines.append(line)
        if "HALLMARK_TOKEN=" in line or "token issue admin --local" in line:
            break
    return "".join(lines)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens; the next one is free."""
    while True:
        with socket.socket() as listener, socket.socket() as probe:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            probe.close()
            listener.listen()
            yield port
            return


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HALLMARK), *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT | environment
    )


def test_it_starts_answers_stops_clean_and_keeps_its_data(start: Start, data: Path):
    first = start("--port", "0")
    assert f"{first.url}/login?token={first.token}" in first.output
    assert httpx.get(f"{first.url}/health/ready").json()["ready"] is True
    with first.client() as hallmark:
        assert hallmark.whoami()["roles"] == ["admin"]
        written = hallmark.create_account("ci", kind="service", roles=["contributor"])
        assert isinstance(written["log_index"], int)

    children, begun = first.children(), monotonic()
    code, out, err = first.stop()
    assert monotonic() - begun < 10
    assert (code, out, err) == (0, "Stopped.\n", "")
    assert children
    assert not any(child.is_running() for child in children)
    assert processes_on(data) == []

    second = start("--port", "0")
    assert "hmk_" not in second.output
    with second.client(first.token) as hallmark:
        assert hallmark.whoami()["account"] == "admin"
        assert [event["stream"] for event in hallmark.log_events()].count("account:ci") == 2

    issued = run("token", "issue", "ci", "--local", "--data", str(data), "--json")
    with second.client(json.loads(issued.stdout)["token"]) as hallmark:
        assert hallmark.whoami()["account"] == "ci"
    scrubbed = run("privacy", "scrub", "--data", str(data), "--json")  # as the owner
    assert json.loads(scrubbed.stdout) == {"bodies_erased": 0}, scrubbed.stderr
    unknown = run("token", "issue", "nobody", "--local", "--data", str(data))
    assert (unknown.returncode, "no account nobody" in unknown.stderr) == (1, True)
    assert second.stop()[0] == 0


def signed(hallmark: Client, index: int) -> None:
    """Wait until a checkpoint covers the event."""
    while not hallmark.checkpoints(over=index):
        pass


def test_what_was_backed_up_is_put_back_goes_on_and_verifies_against_a_checkpoint_kept_outside(
    start: Start, data: Path, tmp_path: Path
):
    up = start("--port", "0", HALLMARK_CHECKPOINT_SECONDS="0.1")
    with up.client() as hallmark:
        key = hallmark.log_key()["vkey"]
        signed(hallmark, hallmark.create_account("before", roles=["viewer"])["log_index"])
    backed_up = run("backup", str(tmp_path / "backup"), "--keys", str(tmp_path / "keys"), "--data", str(data), "--json")
    assert backed_up.returncode == 0, backed_up.stderr
    assert up.stop()[0] == 0
    data.rename(data.with_name("lost"))

    restored = run("restore", str(tmp_path / "backup"), "--keys", str(tmp_path / "keys"), "--data", str(data))
    assert restored.returncode == 0, restored.stderr
    again = start("--port", "0")
    with again.client(up.token) as hallmark:
        assert hallmark.create_account("after", roles=["viewer"])["log_index"] is not None
    client = {"HALLMARK_URL": again.url, "HALLMARK_TOKEN": up.token}
    held = str(tmp_path / "backup" / "checkpoint.note")
    assert json.loads(run("audit", "verify", "--live", "--key", key, "--held", held, "--json", **client).stdout)["ok"]
    export = str(tmp_path / "log.hallmark")
    assert run("audit", "export", export, **client).returncode == 0
    report = json.loads(run("audit", "verify", export, "--key", key, "--held", held, "--json").stdout)
    assert (report["ok"], report["events"] > json.loads(backed_up.stdout)["log"]["size"]) == (True, True)
    assert again.stop()[0] == 0


def test_an_old_backup_put_back_beside_newer_checkpoints_is_not_sealed_on(start: Start, data: Path, tmp_path: Path):
    """The folder of checkpoints was left where it was: it knows what the database does not."""
    up = start("--port", "0", HALLMARK_CHECKPOINT_SECONDS="0.1")
    run("backup", str(tmp_path / "backup"), "--keys", str(tmp_path / "keys"), "--data", str(data))
    with up.client() as hallmark:
        signed(hallmark, hallmark.create_account("later", roles=["viewer"])["log_index"])
    assert up.stop()[0] == 0
    data.rename(data.with_name("lost"))
    run("restore", str(tmp_path / "backup"), "--keys", str(tmp_path / "keys"), "--data", str(data))
    shutil.copytree(data.with_name("lost") / "checkpoints", data / "checkpoints")

    again = start("--port", "0")
    with again.client(up.token) as hallmark:
        assert hallmark.create_account("after", roles=["viewer"])["log_index"] is None
    with again.client(up.token, patience=0) as hallmark, pytest.raises(HallmarkError) as refused:
        hallmark.export_log(tmp_path / "log.hallmark")
    assert "its tail was cut off" in str(refused.value)
    code, _, err = again.stop()
    assert code == 0
    assert "a witness contradicts the log" in err


def test_a_port_that_is_taken_gives_the_next_one(start: Start, taken: int):
    up = start("--port", str(taken))
    assert up.url == f"http://127.0.0.1:{taken + 1}"
    with up.client() as hallmark:
        assert hallmark.whoami()["account"] == "admin"
    assert up.stop()[0] == 0


def test_servers_that_are_killed_are_started_again_and_writes_go_on(start: Start):
    up = start("--port", "0")
    with up.client() as hallmark:
        for number, name in enumerate(["tansu", "postgres", "postgres"]):
            up.child(name).kill()
            written = hallmark.create_account(f"a{number}", roles=["viewer"])
            assert written["account"] == f"a{number}"
        streams = [event["stream"] for event in hallmark.log_events()]
    assert [streams.count(f"account:a{number}") for number in range(3)] == [2, 2, 2]
    code, out, err = up.stop()
    assert (code, out.endswith("Stopped.\n")) == (0, True)
    assert "a local server ended; starting it again" in err
    assert "Traceback" not in out + err


def test_a_second_one_on_the_same_data_says_that_it_is_in_use(start: Start, data: Path):
    up = start("--port", "0")
    second = run("up", "--data", str(data), "--services", "ledger", "--port", "0")
    assert second.returncode == 1
    assert "in use by another Hallmark process" in second.stderr
    assert "Traceback" not in second.stderr
    assert up.stop()[0] == 0


def test_an_interrupted_start_leaves_nothing_behind(data: Path):
    process = subprocess.Popen(
        [str(HALLMARK), "up", "--data", str(data), "--services", "ledger", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    parent = psutil.Process(process.pid)
    while not (children := parent.children(recursive=True)):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "Traceback" not in err
    assert not any(child.is_running() for child in children)
    assert processes_on(data) == []


def test_a_local_token_needs_a_running_stack_on_known_data(data: Path):
    result = run("token", "issue", "admin", "--local", "--data", str(data))
    assert result.returncode == 1
    assert "name the data folder of `hallmark up`" in result.stderr


def test_an_unknown_service_is_named_before_anything_is_started(data: Path):
    result = run("up", "--data", str(data), "--services", "nonsense")
    assert result.returncode == 1
    assert "no service nonsense here" in result.stderr
    assert not data.exists()


def test_help_costs_little_more_than_the_library_that_prints_it():
    """In processor time, so that a busy machine does not fail it: no database driver, web framework or model."""

    def seconds(*argv: str) -> float:
        before = os.times()
        subprocess.run(argv, capture_output=True, check=True)
        after = os.times()
        return (after.children_user - before.children_user) + (after.children_system - before.children_system)

    library = (sys.executable, "-c", "import typer, rich.console")
    spent = [(seconds(str(HALLMARK), "--help"), seconds(*library)) for _ in range(3)]
    assert min(ours / theirs for ours, theirs in spent) < 3
