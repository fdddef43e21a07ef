"""What the database's owner does behind the log's back is found, and each event named."""

import asyncpg
import pytest
from conftest import Database
from integration.ledger.conftest import Ledger
from registry_core.store import schema

FIRST = 3
"""Log index of the first event appended here; an account and its token are before it."""
UNTOUCHED = 5


@pytest.fixture
async def usurper(owner: asyncpg.Connection) -> asyncpg.Connection:
    """The owner, with all triggers switched off."""
    await owner.execute("set session_replication_role = replica")
    return owner


@pytest.fixture
async def held(ledger: Ledger) -> str:
    """Three checkpoints over 33 events; the last one is kept outside."""
    for _ in range(3):
        await ledger.append(10)
        note = await ledger.sign()
    return note


ALTERED = {
    "the actor": "update log.events set actor = 'mallory' where position = {0}",
    "the time": "update log.events set occurred_at = occurred_at + interval '1 microsecond' where position = {0}",
    "the type": "update log.events set type = 'io.hallmark.x.v1' where position = {0}",
    "the stream": "update log.events set stream_id = 'asset:model:other', version = 99 where position = {0}",
    "the body": "update log.events set body = '{{}}' where position = {0}",
    "body and digest": "update log.events set body = '{{}}', body_sha256 = sha256('{{}}') where position = {0}",
    "the body, gone": "update log.events set body = null where position = {0}",
    "the id": "update log.events set event_id = gen_random_uuid() where position = {0}",
    "the leaf hash": "update log.sealed set leaf_hash = sha256('x') where position = {0}",
    "the event, dropped": "delete from log.events where position = {0}",
}


async def position_at(owner: asyncpg.Connection, index: int) -> int:
    position: int = await owner.fetchval("select position from log.sealed where log_index = $1", index)
    return position


async def test_an_untouched_log_verifies_to_its_newest_checkpoint(ledger: Ledger, held: str) -> None:
    report = await ledger.audit(held)
    assert (report.ok, report.size, report.events, report.newest) == (True, 33, 33, held)
    assert report.checkpoints == 4  # three stored and the held one


@pytest.mark.parametrize("what", ALTERED)
@pytest.mark.parametrize("index", [FIRST, 12, 13, 32])
async def test_an_altered_event_is_named(
    ledger: Ledger, held: str, usurper: asyncpg.Connection, what: str, index: int
) -> None:
    position = await position_at(usurper, index)
    await usurper.execute(ALTERED[what].format(position))
    report = await ledger.audit(held)
    assert [index] == sorted({f.first for f in report.findings if f.first == f.last}), report.findings


async def test_every_one_of_several_altered_events_is_named(
    ledger: Ledger, held: str, usurper: asyncpg.Connection
) -> None:
    touched = [4, 9, 14, 15, 31]
    for index in touched:
        await usurper.execute(ALTERED["the actor"].format(await position_at(usurper, index)))
    assert [finding.first for finding in (await ledger.audit(held)).findings] == touched


async def test_two_events_that_changed_places_are_both_named(
    ledger: Ledger, held: str, usurper: asyncpg.Connection
) -> None:
    await usurper.execute(
        """update log.sealed a set position = -b.position from log.sealed b
            where (a.log_index, b.log_index) in ((8, 20), (20, 8))"""
    )
    await usurper.execute("update log.sealed set position = -position where position < 0")
    assert [finding.first for finding in (await ledger.audit(held)).findings] == [8, 20]


async def test_a_place_that_was_dropped_is_named(ledger: Ledger, held: str, usurper: asyncpg.Connection) -> None:
    await usurper.execute("delete from log.sealed where log_index in (11, 12)")
    report = await ledger.audit(held)
    assert [(finding.first, finding.last) for finding in report.findings] == [(11, 12)]
    assert "dropped" in report.findings[0].message


async def test_a_dropped_event_whose_gap_was_closed_is_placed(
    ledger: Ledger, held: str, usurper: asyncpg.Connection
) -> None:
    """Everything behind it moved up by one, and no event stands where it was sealed."""
    await usurper.execute("delete from log.sealed where log_index = 11")
    for index in range(12, 33):
        await usurper.execute("update log.sealed set log_index = log_index - 1 where log_index = $1", index)
    findings = (await ledger.audit(held)).findings
    assert {finding.first for finding in findings if finding.event} == set(range(11, 32))
    assert any(finding.first == 32 and "cut off" in finding.message for finding in findings)


async def test_an_event_that_was_inserted_is_placed(ledger: Ledger, held: str, usurper: asyncpg.Connection) -> None:
    for index in range(32, 19, -1):
        await usurper.execute("update log.sealed set log_index = log_index + 1 where log_index = $1", index)
    await usurper.execute(
        """with e as (insert into log.events (stream_id, version, event_id, type, body, body_sha256, actor, occurred_at,
                                              correlation_id)
                      values ('forged', 0, gen_random_uuid(), 'io.hallmark.x.v1', '{}', sha256('{}'), 'mallory', now(),
                              gen_random_uuid()) returning position)
           insert into log.sealed select 20, position, 1, 0, -1, sha256('x') from e"""
    )
    findings = (await ledger.audit(held)).findings
    assert findings[0].first == 20
    assert {finding.first for finding in findings if finding.event} == set(range(20, 33))


@pytest.mark.parametrize("also_checkpoints", [False, True])
async def test_a_tail_that_was_cut_off_is_named(
    ledger: Ledger, held: str, usurper: asyncpg.Connection, also_checkpoints: bool
) -> None:
    await usurper.execute("delete from log.sealed where log_index >= 25")
    await usurper.execute("update log.sealer_state set next_index = 25")
    if also_checkpoints:
        await usurper.execute("delete from log.checkpoints where size > 23")
    findings = (await ledger.audit(held)).findings
    assert {(finding.first, finding.last) for finding in findings} == {(25, 32)}
    assert any("you hold" in finding.message for finding in findings)


async def rewrite(usurper: asyncpg.Connection, index: int) -> None:
    """An event with everything that is kept of it made to fit, but for the signed roots."""
    from registry_core.proofs.envelope import leaf_bytes
    from registry_core.proofs.merkle import leaf_hash
    from registry_core.store.postgres import EVENT_COLUMNS, recorded

    await usurper.execute(ALTERED["the actor"].format(await position_at(usurper, index)))
    row = await usurper.fetchrow(
        f"select s.log_index, {EVENT_COLUMNS} from log.events e join log.sealed s using (position) where log_index=$1",
        index,
    )
    leaf = leaf_hash(leaf_bytes(recorded(row)))
    await usurper.execute("update log.sealed set leaf_hash = $1 where log_index = $2", leaf, index)


async def test_a_careful_rewrite_is_placed_between_two_checkpoints(
    ledger: Ledger, held: str, usurper: asyncpg.Connection
) -> None:
    await rewrite(usurper, 17)
    (finding,) = (await ledger.audit(held)).findings
    assert (finding.first, finding.last) == (13, 22)
    assert "rewritten" in finding.message


async def test_a_rewritten_and_newly_signed_tail_is_exposed_by_the_held_checkpoint_alone(
    ledger: Ledger, held: str, usurper: asyncpg.Connection, database: Database
) -> None:
    """Whoever has the database and the signing key, too, can make a log that agrees with itself."""
    await rewrite(usurper, 17)
    await usurper.execute("update log.sealer_state set peaks = null")
    await schema.install(database.owner_dsn)  # makes the tree anew
    await usurper.execute("delete from log.checkpoints where size > 13")
    await ledger.append(1)
    await ledger.sign()
    assert (await ledger.audit()).ok
    (finding,) = (await ledger.audit(held)).findings
    assert (finding.first, finding.last) == (13, 32)
    assert "you hold" in finding.message


async def test_a_forged_checkpoint_is_found(ledger: Ledger, held: str, usurper: asyncpg.Connection) -> None:
    await usurper.execute("update log.checkpoints set note = replace(note, E'\\n23\\n', E'\\n22\\n') where size = 23")
    findings = (await ledger.audit(held)).findings
    assert any("stored checkpoint does not hold" in finding.message for finding in findings)


async def test_a_log_without_any_checkpoint_is_not_called_verified(ledger: Ledger, usurper: asyncpg.Connection) -> None:
    await ledger.append(3)
    assert not (await ledger.audit()).ok
