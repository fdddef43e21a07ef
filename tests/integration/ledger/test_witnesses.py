"""Checkpoints reach places outside the database, however long those are away, and a contradiction is told aloud."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import structlog
from hallmark.cli.live_audit import newest_of
from hallmark_ledger.witnessing import Delivery
from integration.ledger.conftest import Ledger
from prometheus_client import REGISTRY
from pydantic import SecretStr
from registry_core.proofs.canonical import from_base64
from registry_core.proofs.merkle import ProofError, verify_consistency
from registry_core.settings import Settings
from registry_core.witnesses import Witness, WitnessAwayError, open_witness, open_witnesses
from registry_core.witnesses.base import stated
from support_s3 import locked_bucket, s3_server, signed

COSIGNATURE = "— witness.example c2lnbmF0dXJlLWxpbmU=\n"


class TlogWitness(ThreadingHTTPServer):
    """C2SP tlog-witness's add-checkpoint as far as a log meets it: sizes, proofs and their answers, no signatures."""

    size, root, note, away = 0, b"", "", False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[int] = []
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/w"

    def add(self, body: str) -> tuple[int, str]:
        head, _, note = body.partition("\n\n")
        first, *proof = head.split("\n")
        old, new = int(first.removeprefix("old ")), stated(note)
        self.asked.append(old)
        if self.away:
            return 503, "away"
        if old != self.size:
            return 409, f"{self.size}\n"
        try:
            verify_consistency(old, new.size, [from_base64(line) for line in proof], self.root or new.root, new.root)
        except ProofError as error:
            if old:
                return 422, str(error)
        self.size, self.root, self.note = new.size, new.root, note
        return 200, COSIGNATURE


class _Handler(BaseHTTPRequestHandler):
    server: TlogWitness

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self._answer(*(self.server.add(body) if self.path == "/w/add-checkpoint" else (404, "")))

    def do_GET(self) -> None:
        self._answer(200, self.server.note) if self.server.note else self._answer(404, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Not on the test's standard error."""


@pytest.fixture
def tlog_witness() -> AsyncIterator[TlogWitness]:
    server = TlogWitness()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
async def s3(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        await asyncio.to_thread(locked_bucket, endpoint, "witness")
        yield endpoint


@pytest.fixture(params=["file", "s3", "http"])
def witness(request: pytest.FixtureRequest, tmp_path: Path) -> Witness:
    if request.param == "file":
        return open_witness((tmp_path / "kept").as_uri(), Settings())
    if request.param == "http":
        return open_witness(request.getfixturevalue("tlog_witness").url, Settings())
    endpoint = request.getfixturevalue("s3")
    account = {"objects_access_key": "test", "objects_secret_key": SecretStr("test-secret")}
    return open_witness(f"s3://witness/{tmp_path.name}", Settings(objects_endpoint=endpoint, **account))


def metric(name: str, witness: Witness) -> float | None:
    return REGISTRY.get_sample_value(f"hallmark_witness_{name}", {"witness": witness.url})


async def rewrite(owner: asyncpg.Connection) -> None:
    """History changes under the witness: another leaf in a place that it has seen."""
    await owner.execute("set session_replication_role = replica")
    await owner.execute("update log.sealed set leaf_hash = sha256('x') where log_index = 4")


async def test_each_checkpoint_reaches_the_witness_and_the_newest_is_read_back(
    ledger: Ledger, witness: Witness
) -> None:
    delivery = Delivery(ledger.platform.pool, witness)
    assert await delivery.deliver()  # nothing signed yet, nothing to keep
    for _ in range(3):
        await ledger.append(4)
        note = await ledger.sign()
        assert await delivery.deliver()
        assert await witness.newest() == note
    assert (metric("behind", witness), metric("conflict", witness)) == (0, 0)


async def test_a_witness_that_is_new_or_restarted_goes_on_from_what_it_holds(ledger: Ledger, witness: Witness) -> None:
    for _ in range(2):
        await ledger.append(4)
        note = await ledger.sign()
        assert await Delivery(ledger.platform.pool, witness).deliver()  # a ledger that knows nothing of before
        assert await witness.newest() == note


async def test_a_rewritten_log_is_told_aloud_and_not_kept(
    ledger: Ledger, witness: Witness, owner: asyncpg.Connection
) -> None:
    await ledger.append(4)
    kept = await ledger.sign()
    assert await Delivery(ledger.platform.pool, witness).deliver()
    await rewrite(owner)
    await ledger.append(4)
    await ledger.sign()
    with structlog.testing.capture_logs() as logs:
        assert not await Delivery(ledger.platform.pool, witness).deliver()
    assert [(line["log_level"], line["event"]) for line in logs] == [("critical", "a witness contradicts the log")]
    assert "rewritten" in logs[0]["reason"]
    assert metric("conflict", witness) == 1
    assert await witness.newest() == kept


async def test_a_log_that_lost_its_tail_is_told_aloud(
    ledger: Ledger, witness: Witness, owner: asyncpg.Connection
) -> None:
    """An older backup was restored: the log is a prefix of what the witness has seen."""
    await ledger.append(4)
    await ledger.sign()
    await ledger.append(4)
    kept = await ledger.sign()
    assert await Delivery(ledger.platform.pool, witness).deliver()
    await owner.execute("set session_replication_role = replica")
    await owner.execute("delete from log.checkpoints where size = (select max(size) from log.checkpoints)")
    with structlog.testing.capture_logs() as logs:
        assert not await Delivery(ledger.platform.pool, witness).deliver()
    assert "cut off" in logs[0]["reason"]
    assert metric("conflict", witness) == 1
    assert await witness.newest() == kept


async def test_a_witness_that_is_away_gets_the_newest_when_it_is_back(
    ledger: Ledger, tlog_witness: TlogWitness
) -> None:
    witness = open_witness(tlog_witness.url, Settings())
    delivery, tlog_witness.away = Delivery(ledger.platform.pool, witness), True
    for _ in range(3):
        await ledger.append(2)
        note = await ledger.sign()
        assert not await delivery.deliver()
    assert metric("behind", witness) == stated(note).size
    tlog_witness.away = False
    assert await delivery.deliver()
    assert tlog_witness.note == note
    assert metric("behind", witness) == 0


async def test_nobody_listening_is_away_not_wrong() -> None:
    with pytest.raises(WitnessAwayError):
        await open_witness("http://127.0.0.1:1", Settings()).newest()


async def test_a_checkpoint_in_an_object_store_is_never_replaced(ledger: Ledger, tmp_path: Path) -> None:
    witness = open_witness((tmp_path / "kept").as_uri(), Settings())
    await ledger.append(2)
    note = await ledger.sign()
    await Delivery(ledger.platform.pool, witness).deliver()
    (path,) = (tmp_path / "kept").glob("*.note")
    forged = note.replace(note.split("\n")[2], base64.b64encode(bytes(32)).decode())
    path.write_text(forged)
    assert not await Delivery(ledger.platform.pool, witness).deliver()
    assert path.read_text() == forged


async def test_object_lock_keeps_a_checkpoint_from_its_own_account(ledger: Ledger, s3: str, tmp_path: Path) -> None:
    settings = Settings(objects_endpoint=s3, objects_access_key="test", objects_secret_key=SecretStr("test-secret"))
    witness = open_witness(f"s3://witness/{tmp_path.name}", settings)
    await ledger.append(2)
    note = await ledger.sign()
    assert await Delivery(ledger.platform.pool, witness).deliver()
    url = f"{s3}/witness/{tmp_path.name}/{stated(note).size:012d}.note"
    async with httpx.AsyncClient() as client:
        version = (await client.send(signed("HEAD", url))).headers["x-amz-version-id"]
        refused = await client.send(signed("DELETE", f"{url}?versionId={version}"))
        assert refused.status_code == 403, refused.text
        kept = await client.send(signed("GET", f"{url}?versionId={version}"))
    assert kept.text == note


async def test_a_witness_s_checkpoint_exposes_a_rewritten_log_to_the_auditor(
    ledger: Ledger, witness: Witness, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.append(6)
    await ledger.sign()
    await Delivery(ledger.platform.pool, witness).deliver()
    if urlsplit(witness.url).scheme == "s3":
        held = await witness.newest()
    else:
        held = await asyncio.to_thread(newest_of, witness.url)
    assert (await ledger.audit(held)).ok
    await rewrite(owner)
    await owner.execute("delete from log.checkpoints")
    await ledger.append(1)
    await ledger.sign()
    assert [finding.first for finding in (await ledger.audit(held)).findings if not finding.event] == [0]


async def test_the_setting_names_any_number_of_them_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, witnesses=f" {tmp_path.as_uri()}/w , https://witness.example/a,")
    assert [w.url for w in open_witnesses(settings)] == [
        f"{tmp_path.as_uri()}/checkpoints",
        f"{tmp_path.as_uri()}/w",
        "https://witness.example/a",
    ]
    with pytest.raises(ValueError, match="HALLMARK_WITNESSES"):
        open_witnesses(Settings(data_dir=tmp_path, witnesses="ftp://witness.example"))
    shutil.rmtree(tmp_path / "w")
