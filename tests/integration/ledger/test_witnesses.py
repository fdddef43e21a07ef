"""Checkpoints reach places outside the database, however long those are away, and a contradiction is told aloud."""

import asyncio
import base64
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark.cli.live_audit import newest_of
from hallmark_ledger import log
from hallmark_ledger.witnessing import Delivery
from integration.ledger.conftest import Ledger
from prometheus_client import REGISTRY
from pydantic import SecretStr
from registry_core.proofs.cosignature import WitnessKey, cosignatures
from registry_core.settings import Settings
from registry_core.witnesses import (
    LogContradictedError,
    Witness,
    WitnessAwayError,
    open_witness,
    open_witnesses,
)
from registry_core.witnesses.base import stated
from support_s3 import signed
from support_witness import NAME, TlogWitness, cosign

ORIGIN = "log.example/test"


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


async def cut_tail(owner: asyncpg.Connection, count: int) -> None:
    """The database as it was that many events ago, with the checkpoints that it had then."""
    await owner.execute("set session_replication_role = replica")
    size = await owner.fetchval("update log.sealer_state set next_index = next_index - $1 returning next_index", count)
    await owner.execute(
        "delete from log.events where position in (select position from log.sealed where log_index >= $1)", size
    )
    await owner.execute("delete from log.sealed where log_index >= $1", size)
    await owner.execute("delete from log.checkpoints where size > $1", size)


async def test_each_checkpoint_reaches_the_witness_and_the_newest_is_read_back(
    ledger: Ledger, witness: Witness
) -> None:
    delivery = Delivery(ledger.platform, witness)
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
        assert await Delivery(ledger.platform, witness).deliver()  # a ledger that knows nothing of before
        assert await witness.newest() == note


async def test_a_rewritten_log_is_told_aloud_and_not_kept(
    ledger: Ledger, witness: Witness, owner: asyncpg.Connection
) -> None:
    await ledger.append(4)
    kept = await ledger.sign()
    assert await Delivery(ledger.platform, witness).deliver()
    await rewrite(owner)
    await ledger.append(4)
    await ledger.sign()
    with structlog.testing.capture_logs() as logs:
        assert not await Delivery(ledger.platform, witness).deliver()
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
    assert await Delivery(ledger.platform, witness).deliver()
    await cut_tail(owner, 4)
    with structlog.testing.capture_logs() as logs:
        assert not await Delivery(ledger.platform, witness).deliver()
    assert "cut off" in logs[0]["reason"]
    assert metric("conflict", witness) == 1
    assert await witness.newest() == kept


async def test_a_witness_that_is_away_gets_the_newest_when_it_is_back(
    ledger: Ledger, tlog_witness: TlogWitness
) -> None:
    witness = open_witness(tlog_witness.url, Settings())
    delivery, tlog_witness.away = Delivery(ledger.platform, witness), True
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


class GivenLog:
    """Nine events."""

    async def size(self) -> int:
        return 9

    async def root(self, size: int) -> bytes:
        return bytes(31) + bytes([size])

    async def consistency(self, old: int, new: int) -> list[bytes]:
        return []


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([(409, "7\n"), (409, "7\n")], LogContradictedError),
        ([(409, "8\n"), (409, "")], LogContradictedError),  # the sizes agree, so the roots do not
        ([(422, "no")], LogContradictedError),
        ([(409, "10\n")], LogContradictedError),  # more than there is
        ([(409, "7\n"), (409, "9\n")], WitnessAwayError),  # somebody else gave it one in between
        ([(409, "much\n")], WitnessAwayError),
        ([(403, "who?")], WitnessAwayError),
        ([(500, "")], WitnessAwayError),
        ([(200, "x" * 70_000)], WitnessAwayError),
    ],
)
async def test_what_a_witness_answers_is_a_contradiction_only_where_it_says_so(
    tlog_witness: TlogWitness, answers: list[tuple[int, str]], error: type[Exception]
) -> None:
    left = iter(answers)
    tlog_witness.add = lambda _: next(left)  # type: ignore[method-assign]
    note = f"{ORIGIN}\n8\n{base64.b64encode(await GivenLog().root(8)).decode()}\n\n— x eHh4eHg=\n"
    with pytest.raises(error) as raised:
        await open_witness(tlog_witness.url, Settings()).keep(8, note, GivenLog())
    assert type(raised.value) is error
    assert next(left, None) is None, "it was asked as often as that"


async def test_a_witness_that_is_ahead_of_our_newest_checkpoint_but_not_of_the_log_is_agreed_with(
    tlog_witness: TlogWitness,
) -> None:
    tlog_witness.add = lambda _: (409, "9\n")  # type: ignore[method-assign]
    tlog_witness.note = "<html>for people</html>"
    note = f"{ORIGIN}\n8\n{base64.b64encode(bytes(32)).decode()}\n\n— x eHh4eHg=\n"
    assert await open_witness(tlog_witness.url, Settings()).keep(8, note, GivenLog()) == ()


async def test_a_checkpoint_in_an_object_store_is_never_replaced(ledger: Ledger, tmp_path: Path) -> None:
    witness = open_witness((tmp_path / "kept").as_uri(), Settings())
    await ledger.append(2)
    note = await ledger.sign()
    await Delivery(ledger.platform, witness).deliver()
    (path,) = (tmp_path / "kept").glob("*.note")
    forged = note.replace(note.split("\n")[2], base64.b64encode(bytes(32)).decode())
    path.write_text(forged)
    assert not await Delivery(ledger.platform, witness).deliver()
    assert path.read_text() == forged


async def test_another_file_beside_the_checkpoints_is_not_taken_for_the_newest(ledger: Ledger, tmp_path: Path) -> None:
    """Its name sorts behind all sizes: the witness would vouch for no more than that file from then on."""
    witness = open_witness((tmp_path / "kept").as_uri(), Settings())
    await ledger.append(2)
    old = await ledger.sign()
    assert await Delivery(ledger.platform, witness).deliver()
    (tmp_path / "kept" / "held.note").write_text(old)
    await ledger.append(2)
    new = await ledger.sign()
    assert await Delivery(ledger.platform, open_witness((tmp_path / "kept").as_uri(), Settings())).deliver()
    assert await witness.newest() == new


async def test_object_lock_keeps_a_checkpoint_from_its_own_account(ledger: Ledger, s3: str, tmp_path: Path) -> None:
    settings = Settings(objects_endpoint=s3, objects_access_key="test", objects_secret_key=SecretStr("test-secret"))
    witness = open_witness(f"s3://witness/{tmp_path.name}", settings)
    await ledger.append(2)
    note = await ledger.sign()
    assert await Delivery(ledger.platform, witness).deliver()
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
    await Delivery(ledger.platform, witness).deliver()
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


async def test_a_cosignature_is_verified_kept_once_and_served_with_its_checkpoint(
    ledger: Ledger, tlog_witness: TlogWitness
) -> None:
    await ledger.append(3)
    note = await ledger.sign()
    for _ in range(2):  # a ledger that starts anew is answered with another time
        assert await Delivery(ledger.platform, open_witness(tlog_witness.url_with_key, Settings())).deliver()
    served = (await ledger.http.get("/v1/log/checkpoint")).text
    assert await ledger.get("/v1/log/checkpoints") == [served]
    assert served.startswith(note)
    (found,) = cosignatures(served, [WitnessKey(tlog_witness.vkey)])
    assert served == note + found.line
    assert (await ledger.audit(served)).ok


@pytest.mark.parametrize("wrong", ["another key's", "of another text", "no line", "nothing", "not told the key"])
async def test_a_cosignature_that_does_not_hold_is_never_kept(
    ledger: Ledger, tlog_witness: TlogWitness, wrong: str
) -> None:
    await ledger.append(3)
    note = await ledger.sign()
    url = tlog_witness.url_with_key
    match wrong:
        case "another key's":
            tlog_witness.key = Ed25519PrivateKey.generate()
        case "of another text":
            tlog_witness.spoil = lambda _: cosign(tlog_witness.key, NAME, "log.example/other\n", 1)
        case "no line":
            tlog_witness.spoil = lambda _: "<html>\n"
        case "nothing":
            tlog_witness.spoil = lambda _: ""
        case "not told the key":
            url = tlog_witness.url
    with structlog.testing.capture_logs() as logs:
        delivered = await Delivery(ledger.platform, open_witness(url, Settings())).deliver()
    told = [(line["log_level"], line["event"]) for line in logs]
    assert told == ([] if delivered else [("error", "a witness's cosignature is not kept")])
    assert delivered == (wrong == "not told the key")
    assert (await ledger.http.get("/v1/log/checkpoint")).text == note


async def test_a_pack_of_evidence_takes_the_newest_cosigned_checkpoint_that_covers_it(
    ledger: Ledger, tlog_witness: TlogWitness
) -> None:
    await ledger.append(3)
    await ledger.sign()
    assert await Delivery(ledger.platform, open_witness(tlog_witness.url_with_key, Settings())).deliver()
    await ledger.append(3)
    await ledger.sign()  # no witness has seen this one
    found = await log.checkpoint_over(ledger.platform.pool, ORIGIN, 2)
    assert found
    assert found.size == tlog_witness.size
    newest = await log.checkpoint_over(ledger.platform.pool, ORIGIN, tlog_witness.size)
    assert newest
    assert newest.size > tlog_witness.size
    assert not newest.cosignatures


async def test_the_setting_names_any_number_of_them_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, witnesses=f" {tmp_path.as_uri()}/w , https://witness.example/a,")
    assert [w.url for w in open_witnesses(settings)] == [
        f"{tmp_path.as_uri()}/checkpoints",
        f"{tmp_path.as_uri()}/w",
        "https://witness.example/a",
    ]
    with pytest.raises(ValueError, match="HALLMARK_WITNESSES"):
        open_witnesses(Settings(data_dir=tmp_path, witnesses="ftp://witness.example"))
    with pytest.raises(ValueError, match="is not a verifier key"):
        open_witnesses(Settings(data_dir=tmp_path, witnesses="https://witness.example#key"))
    shutil.rmtree(tmp_path / "w")
