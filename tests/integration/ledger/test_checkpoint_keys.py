"""The key that signs: rotated through the log, and never replaced silently. A log is not forked."""

import asyncio
import io
from pathlib import Path

import asyncpg
import pytest
from hallmark_ledger.keys import KeyFolder, KeyTroubleError
from integration.ledger.conftest import Ledger, checkpointer_of
from registry_core.events import Event
from registry_core.events.governance import CheckpointKeyRotated
from registry_core.proofs.handover import KeyChain, sign_handover
from registry_core.proofs.keys import generate_key, load_key
from registry_core.proofs.merkle import EMPTY_ROOT
from registry_core.proofs.note import NoteError, Signer, Verifier, open_checkpoint, open_note, sign_checkpoint
from registry_core.proofs.pack import verify_pack
from registry_core.store import ANY, Append
from support import new, token_of

ORIGIN = "log.example/test"


async def rotate(ledger: Ledger, **headers: str) -> str:
    async with ledger.sealing():
        answer = await ledger.http.post("/v1/log/key/rotation", json={"reason": "a year is over"}, headers=headers)
    assert answer.status_code == 201, answer.text
    vkey: str = answer.json()["vkey"]
    return vkey


@pytest.fixture
async def rotated(ledger: Ledger) -> tuple[str, str, str]:
    """The old key, the new one, and the checkpoint at the switch."""
    await ledger.append(5)
    await ledger.sign()
    old = (await ledger.get("/v1/log/key"))["vkey"]
    new = await rotate(ledger)
    await ledger.append(5)
    return old, new, await ledger.sign()


async def test_both_keys_are_served_with_the_sizes_that_they_sign(
    ledger: Ledger, rotated: tuple[str, str, str]
) -> None:
    old, new, _ = rotated
    found = await ledger.get("/v1/log/key")
    assert (found["origin"], found["vkey"]) == (ORIGIN, new)
    assert [(key["vkey"], key["from_size"], key["to_size"]) for key in found["keys"]] == [(old, 0, 8), (new, 9, None)]


async def test_the_first_checkpoint_of_a_new_key_is_signed_by_both_and_later_ones_by_it_alone(
    ledger: Ledger, rotated: tuple[str, str, str]
) -> None:
    old, new, switch = rotated
    await ledger.append(1)
    later = await ledger.sign()
    keys = [Verifier(old), Verifier(new)]
    assert {key.vkey for key in open_note(switch, keys).signed_by} == {old, new}
    assert {key.vkey for key in open_note(later, keys).signed_by} == {new}


async def test_who_knows_the_old_key_alone_follows_and_finds_all_verified(
    ledger: Ledger, rotated: tuple[str, str, str]
) -> None:
    old, new, _ = rotated
    for trusted in (old, new):
        assert (await ledger.audit(trusted=trusted)).ok
    export = await ledger.http.get("/v1/audit/export")
    for trusted in (old, new):
        report = verify_pack(io.BytesIO(export.content), [trusted])
        assert report.ok, report.problems


async def test_the_old_key_no_longer_counts(ledger: Ledger, rotated: tuple[str, str, str]) -> None:
    old, _, _ = rotated
    stolen = Signer(ORIGIN, load_key(ledger.platform.settings.data_dir / "keys" / "ledger.pem"))
    assert stolen.vkey == old
    chain = KeyChain(ORIGIN, [old])
    chain.add((await ledger.get("/v1/log/key"))["handovers"][0])
    with pytest.raises(NoteError, match="does not count"):
        chain.open(sign_checkpoint(ORIGIN, 100, EMPTY_ROOT, stolen))


async def test_rotating_is_an_administrators_act_and_is_in_the_log(
    ledger: Ledger, rotated: tuple[str, str, str]
) -> None:
    events = [e for e in await ledger.get("/v1/log/events") if e["type"] == "io.hallmark.log.key-rotated.v1"]
    assert [event["actor"] for event in events] == ["root"]
    token = await token_of(ledger.platform, "ada", "auditor")
    answer = await ledger.http.post("/v1/log/key/rotation", json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


async def test_a_repeated_request_rotates_once(ledger: Ledger) -> None:
    await ledger.append(2)
    await ledger.sign()
    first = await rotate(ledger, **{"Idempotency-Key": "k"})
    assert await rotate(ledger, **{"Idempotency-Key": "k"}) == first
    assert len((await ledger.get("/v1/log/key"))["keys"]) == 2


async def test_a_new_key_that_did_not_reach_the_log_is_never_used(ledger: Ledger) -> None:
    """A kill between the file and the event."""
    await ledger.append(2)
    old = (await ledger.get("/v1/log/key"))["vkey"]
    await ledger.sign()
    await rotate(ledger)
    await ledger.append(1)
    in_force = (await ledger.get("/v1/log/key"))["vkey"]
    KeyFolder(ledger.platform.settings.data_dir / "keys", ORIGIN).make()
    assert (await ledger.get("/v1/log/key"))["vkey"] == in_force != old
    assert open_checkpoint(await ledger.sign(), [Verifier(in_force)], ORIGIN)


@pytest.mark.parametrize("trouble", ["missing", "readable by others", "not a key", "another log's", "a new one"])
async def test_without_the_logs_own_key_nothing_is_signed_and_no_key_is_made(ledger: Ledger, trouble: str) -> None:
    await ledger.append(2)
    first = await ledger.sign()
    path = ledger.platform.settings.data_dir / "keys" / "ledger.pem"
    kept = path.read_bytes()
    match trouble:
        case "missing" | "a new one":
            path.unlink()
        case "readable by others":
            path.chmod(0o644)
        case "not a key":
            path.write_text("nonsense")
    if trouble == "a new one":
        generate_key(path)
    before = sorted(path.parent.iterdir())
    origin = "elsewhere.example/log" if trouble == "another log's" else ORIGIN
    checkpointer = checkpointer_of(ledger.platform.ledger, path.parent, origin)
    await ledger.append(2)
    with pytest.raises(KeyTroubleError) as refused:
        await checkpointer.sign()
    assert refused.value.fix
    assert sorted(path.parent.iterdir()) == before
    assert await ledger.get("/v1/log/checkpoints") == [first]
    if trouble != "another log's":
        answer = await ledger.http.get("/v1/log/key")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:hallmark:problem:no-checkpoint-key")
    path.write_bytes(kept)
    path.chmod(0o600)
    assert (await ledger.audit(await ledger.sign())).ok


async def test_two_ledgers_that_start_at_once_with_keys_of_their_own_do_not_fork_the_log(
    ledger: Ledger, tmp_path: Path, owner: asyncpg.Connection
) -> None:
    (tmp_path / "other").mkdir()
    rival = checkpointer_of(ledger.platform.ledger, tmp_path / "other")
    both = (ledger.checkpointer, rival)
    results = await asyncio.gather(*(checkpointer.sign() for checkpointer in both))
    (loser,) = [checkpointer for checkpointer, note in zip(both, results, strict=True) if note is None]
    await ledger.append(1)
    with pytest.raises(KeyTroubleError):
        await loser.sign()
    (winner,) = [checkpointer for checkpointer in both if checkpointer is not loser]
    assert await winner.sign()
    notes = [row["note"] for row in await owner.fetch("select note from log.checkpoints order by size")]
    assert len({note.rsplit("— ", 1)[1][: len(ORIGIN) + 6] for note in notes}) == 1
    assert len(notes) == 2


async def _append_to_the_keys(ledger: Ledger, *events: Event) -> None:
    await ledger.platform.store.append(Append("log:keys", [new(event) for event in events], ANY))
    await ledger.seal()


def _forged(origin: str, previous: str, size: int, old: Signer, young: Signer) -> list[CheckpointKeyRotated]:
    """Rotations that a service may append, and that no key of the log signed."""
    handover = sign_handover(origin, size, old, young)
    stated = CheckpointKeyRotated(origin=origin, previous=previous, vkey=young.vkey, size=size, handover=handover)
    changes = [{}, {"handover": "forged\n"}, {"previous": old.vkey}, {"vkey": previous}, {"size": 0}, {"vkey": "none"}]
    return [stated.model_copy(update=change) for change in changes]


@pytest.mark.parametrize("signed_before", [True, False])
async def test_a_rotation_that_no_key_of_the_log_signed_changes_nothing(
    ledger: Ledger, tmp_path: Path, signed_before: bool
) -> None:
    """Every service can append to the stream, and nobody can take it out again."""
    await ledger.append(5)
    if signed_before:
        await ledger.sign()
    known = await ledger.get("/v1/log/key")
    mallory = [Signer(ORIGIN, generate_key(tmp_path / f"{n}.pem")) for n in range(2)]
    await _append_to_the_keys(ledger, *_forged(ORIGIN, known["vkey"], 5, *mallory))
    await ledger.platform.pool.execute(
        """select log.append_batch('{log:keys}', '{null}', '{1}', '{1}', '{0}', array[gen_random_uuid()],
             '{io.hallmark.log.key-rotated.v1}', array['\\xff'::bytea], '{mallory}', array[now()],
             array[gen_random_uuid()], null, null)"""
    )
    await ledger.append(1)
    assert await ledger.get("/v1/log/key") == known
    assert open_checkpoint(await ledger.sign(), [Verifier(known["vkey"])], ORIGIN)
    assert (await ledger.audit(trusted=known["vkey"])).ok
    young = await rotate(ledger)
    await _append_to_the_keys(
        ledger, *_forged(ORIGIN, young, 5, *mallory), *_forged(ORIGIN, known["vkey"], 5, *mallory)
    )
    await ledger.append(1)
    assert (await ledger.get("/v1/log/key"))["vkey"] == young
    assert open_checkpoint(await ledger.sign(), [Verifier(young)], ORIGIN)
    export = await ledger.http.get("/v1/audit/export")
    assert verify_pack(io.BytesIO(export.content), [known["vkey"]]).ok
