"""pgbench as a reference: single prepared INSERTs of the rows that Hallmark appends, into a plain table like its own.

The plain table has the columns, defaults and indexes of `log.events`, and none of what makes it a log. A transaction of
the script is one life (`lives.LIFE`), each event of it an INSERT of its own that commits by itself.
"""

import hashlib
import re
from pathlib import Path

import asyncpg
from registry_core.local.postgres_layout import wheel_binaries

from bench.lives import BEGINNING, LIFE
from bench.place import Database, run_program

PLAIN_TABLE = """
    create table plain (like log.events including all);
    create sequence plain_position owned by plain.position;
    alter table plain alter position set default nextval('plain_position')"""
"""The same columns, sizes, defaults and indexes as log.events, without its triggers and functions."""
# pgbench would take the colon of a literal for the beginning of a variable: hence :before
_INSERT = """
 insert into plain (stream_id, version, event_id, type, body, body_sha256, actor, occurred_at, correlation_id)
 values (:before || :life::text || '@1.0.0', {n}, gen_random_uuid(), :type{n}, :body{n}, :hash{n}, 'ci', :at,
         md5(:life::text)::uuid);"""
_SCRIPT = "\\set n :n + 1\n\\set life 100000000 + :n * 1000 + :client_id\n" + "\n".join(
    _INSERT.format(n=n).replace("\n", "") for n in range(len(LIFE))
)
_MOST_LIVES = 10_000  # of one client in one run
_TPS = re.compile(r"tps = ([0-9.]+)")


async def make_plain_table(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await connection.execute(PLAIN_TABLE)
    finally:
        await connection.close()


async def inserts_per_second(database: Database, folder: Path, clients: int, seconds: float, turn: int) -> float:
    """What `clients` connections reach, two threads driving them, as pgbench counts it (without connecting).

    `turn` tells the runs on one table apart, from 0.
    """
    script = folder / "life.sql"
    script.write_text(_SCRIPT)
    printed = await run_program(
        str(wheel_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=2",
        f"--time={seconds:g}", f"--file={script}", *_variables(turn), database.owner_dsn,
    )  # fmt: skip
    found = _TPS.search(printed)
    if not found or "number of failed transactions: 0 " not in printed:
        raise RuntimeError(f"pgbench did not do its work:\n{printed}")
    return float(found[1]) * len(LIFE)


def _variables(turn: int) -> list[str]:
    values = {"before": "model:bench-", "n": str(turn * _MOST_LIVES), "at": BEGINNING.isoformat()}
    for n, event in enumerate(LIFE):
        body = event.encode()
        values |= {f"type{n}": event.type, f"body{n}": body.decode(), f"hash{n}": _bytea(hashlib.sha256(body).digest())}
    return [f"--define={name}={value}" for name, value in values.items()]


def _bytea(data: bytes) -> str:
    return f"\\x{data.hex()}"
