"""Leaves are made by the server and checked everywhere else in Python: both have to mean the same bytes."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.merkle import leaf_hash
from registry_core.proofs.pack.lines import EventItem, read_line, write_line
from registry_core.store.connections import Pool
from registry_core.store.model import MAX_BODY
from registry_core.store.postgres import PostgresEventStore, recorded
from registry_core.store.sealer import Sealer

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
TIME = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001 - it adds the zone
EVENT = st.fixed_dictionaries({
    "stream_id": TEXT, "version": st.integers(0, 2**31 - 1), "event_id": st.uuids(), "type": TEXT, "body": st.none(),
    "body_sha256": st.binary(min_size=32, max_size=32), "actor": TEXT, "occurred_at": TIME, "recorded_at": TIME,
    "correlation_id": st.uuids(), "causation_id": st.none() | st.uuids(), "traceparent": st.none() | TEXT,
})  # fmt: skip
"""A row of log.events."""
ESCAPED = "".join(map(chr, range(1, 0x20))) + '"\\/\x7f\u0080\u2028\ufeff\uffff\U0001f600'
"""Whatever some writer of JSON escapes."""
ID, NOW = UUID("6f1d3c0e-0d8b-5d7c-9a55-6d0a5a1f7b11"), datetime(2026, 11, 28, 12, 30, 59, 999999, tzinfo=UTC)
ODD = {
    "stream_id": ESCAPED, "version": 0, "event_id": ID, "type": ESCAPED, "body": None, "body_sha256": bytes(32),
    "actor": ESCAPED, "occurred_at": NOW, "recorded_at": NOW.replace(microsecond=0), "correlation_id": ID,
    "causation_id": None, "traceparent": ESCAPED,
}  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=60), st.integers(0, 2**62))
@example([ODD], 0)
async def test_the_servers_leaves_are_pythons(
    owner: asyncpg.Connection, events: list[dict[str, Any]], first: int
) -> None:
    await owner.execute("drop table if exists pg_temp.e; create temporary table e as select e.* from log.events e")
    rows = [(number, *[event[column] for column in ODD]) for number, event in enumerate(events, first)]
    await owner.copy_records_to_table("e", columns=("position", *ODD), records=rows)
    made = await owner.fetch(
        "select log.leaf_hash(e.position, row(e.*)::log.events) as leaf from e order by e.position"
    )
    for row, (number, event) in zip(made, enumerate(events, first), strict=True):
        assert row["leaf"] == leaf_hash(leaf_bytes(recorded({**event, "log_index": number})))


@pytest.mark.parametrize("time", ["infinity", "-infinity", "10000-01-01T00:00Z", "0001-12-31T00:00Z BC"])
async def test_a_time_that_no_leaf_can_tell_is_not_appended(pool: Pool, ledger_pool: Pool, time: str) -> None:
    """Through the services' own right to append: it would stop the sealer, or be read by nobody."""
    with pytest.raises(asyncpg.CheckViolationError, match="occurred_in_four_digits"):
        await pool.execute(
            """select log.append_batch('{s}', '{null}', '{1}', '{1}', '{0}', array[gen_random_uuid()], '{t}', '{"{}"}',
                 '{a}', array[$1::text::timestamptz], array[gen_random_uuid()], null, null)""",
            time,
        )
    assert await Sealer(ledger_pool, 4).seal_once() == 0


APPEND_ANYTHING = """
    select log.append_batch('{s}', '{null}', '{1}', '{1}', array[$1::integer], array[gen_random_uuid()], array[$2],
      array[$3::bytea], array[$4], array[now()], array[gen_random_uuid()], null, array[$5])"""


@pytest.mark.parametrize(
    "arguments",
    [
        (-1, "t", b"{}", "a", None),
        (0, "t", bytes(MAX_BODY + 1), "a", None),
        (0, "t" * 65535, b"{}", "a", None),
        (0, "t", b"{}", "a" * 65535, None),
        (0, "t", b"{}", "a", "p" * 65535),
    ],
    ids=["version", "body", "type", "actor", "traceparent"],
)
async def test_what_no_export_and_no_record_could_carry_is_not_appended(pool: Pool, arguments: tuple[Any, ...]) -> None:
    """Through the services' own right to append: nobody could ever take it out of the log again."""
    with pytest.raises(asyncpg.CheckViolationError, match="can_be_handed_on"):
        await pool.execute(APPEND_ANYTHING, *arguments)
    assert await pool.fetchval("select count(*) from log.events") == 0


async def test_the_largest_that_is_appended_can_be_exported(pool: Pool, ledger_pool: Pool) -> None:
    await pool.execute(APPEND_ANYTHING, 0, "t", bytes(MAX_BODY), "\x01" * 65534, None)
    assert await Sealer(ledger_pool, 4).seal_once() == 1
    [event] = await PostgresEventStore(pool).read_log(0, 2)
    assert read_line(write_line(1, EventItem.of(event, None)))[0] == 1
