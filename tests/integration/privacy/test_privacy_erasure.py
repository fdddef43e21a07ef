"""Erasing a person: nothing that names them is left, every proof holds, and it happens whole or not at all."""

import asyncio
import hashlib
from io import BytesIO
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hallmark.cli.scrubbing import scrub
from hallmark_approval.people import persons
from hallmark_ingestion.accounts import identify_accounts
from integration.privacy.conftest import given_plain
from registry_core.events.governance import AccountIdentified
from registry_core.events.privacy import PersonErased
from registry_core.identity import account_stream, find_account
from registry_core.personal import ERASED, PrivacyKeyError, is_pseudonym
from registry_core.proofs.pack import Report, verify_pack
from registry_core.service import Platform
from support import until

REF = "model:m@1.0.0"


def verified(pack: bytes) -> Report:
    report = verify_pack(BytesIO(pack))
    assert report.ok, report.problems
    return report


def spellings(text: str) -> list[bytes]:
    """As text, and as a dump writes bytes."""
    raw = text.encode()
    return [raw, raw.hex().encode(), text.casefold().encode()]


async def register(installation: Any, token: str) -> None:
    async with installation.as_account(token) as client:
        answer = await client.post("/v1/versions", json={"ref": REF, "digest": "sha256:" + "a" * 64})
    assert answer.status_code == 201, answer.text


async def test_nothing_that_names_the_person_is_left_and_every_proof_holds(installation: Any, name: str) -> None:
    account = f"u-{uuid4().hex[:12]}"
    shown = f"{name} <z@example.org>"
    token = await installation.create(account, name, display_name=shown, roles=["contributor"])
    await register(installation, token)
    log_before = await installation.export()
    pack_before = (await installation.admin.get(f"/v1/audit/versions/{REF}/pack")).content
    held = await installation.post("/v1/privacy/persons/show", person=name)
    assert (held["accounts"][0]["name"], held["accounts"][0]["display_name"]) == (name, shown)

    assert (await installation.erase(name)).status_code == 200

    left = await installation.everything()
    assert all(spelling in left for spelling in spellings(account)[:2]), "the search finds what is there"
    assert [spelling for spelling in spellings(name) if spelling in left] == []
    read = (await installation.admin.get(f"/v1/accounts/{account}")).json()
    assert (read["name"], read["display_name"], read["roles"], read["tokens"]) == (ERASED, ERASED, [], [])
    assert (await installation.admin.post("/v1/privacy/persons/show", json={"person": name})).status_code == 404
    for pack in (log_before, pack_before, await installation.export()):
        verified(pack)
    pack_after = (await installation.admin.get(f"/v1/audit/versions/{REF}/pack")).content
    assert verified(pack_after).events == verified(pack_before).events


async def test_the_key_is_in_no_table_any_more_and_after_a_scrub_in_no_page(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    person = (await installation.admin.get("/v1/accounts/u-1")).json()["person"]
    row = await installation.owner.fetchrow("select * from privacy.subjects where pseudonym = $1", person)
    await installation.owner.execute("checkpoint")
    assert _in_pages(installation, row["wrapped_key"])
    await installation.erase(name)
    await scrub(installation.owner)
    await installation.owner.execute("checkpoint")
    assert not _in_pages(installation, row["wrapped_key"])
    assert not _in_pages(installation, row["lookup"])


def _in_pages(installation: Any, needle: bytes) -> bool:
    """Whether any table's or index's file holds the bytes, in rows that live or do not."""
    base = installation.server.data_dir / "cluster" / "base"
    return any(needle in path.read_bytes() for path in base.rglob("*") if path.is_file())


async def test_no_table_names_the_person_even_before(installation: Any, name: str) -> None:
    await installation.create("u-1", name, display_name=name)
    left = await installation.everything()
    assert [spelling for spelling in spellings(name) if spelling in left] == []


async def test_tokens_and_roles_of_every_account_end_in_the_same_act(installation: Any, name: str) -> None:
    first = await installation.create("u-1", name, roles=["viewer"])
    second = await installation.create("u-2", name.upper(), roles=["manager"])
    erased = (await installation.erase(name)).json()
    assert erased["accounts"] == ["u-1", "u-2"]
    for account in ("u-1", "u-2"):
        state = await find_account(installation.platform.reader, account)
        assert (state.tokens, state.roles) == ({}, frozenset())
    for token in (first, second):
        async with installation.as_account(token) as client:
            assert (await client.get("/v1/whoami")).status_code == 401
    events = (await installation.platform.reader.read(f"person:{erased['person']}"))[0]
    assert isinstance(events[0].data, PersonErased)
    assert (events[0].data.erased_by, events[0].data.reason) == ("root", "asked for it, ticket 7")


async def test_four_eyes_sees_one_person_behind_erased_accounts(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    await installation.create("ci", name, kind="service")
    await installation.create("u-2", "Somebody Else")
    await installation.erase(name)
    known = await persons(installation.platform.reader, ["u-1", "ci", "u-2"])
    assert known["u-1"] == known["ci"] != known["u-2"]
    assert is_pseudonym(known["u-1"])


async def test_who_comes_back_is_a_new_person(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    await installation.erase(name)
    await installation.create("u-2", name)
    known = await persons(installation.platform.reader, ["u-1", "u-2"])
    assert known["u-1"] != known["u-2"]


async def test_erasing_again_tells_of_the_first_time(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    first = (await installation.erase(name)).json()
    assert (await installation.erase(first["person"])).json() == first
    assert (await installation.erase(name)).status_code == 404, "that there was such a name is not known any more"
    assert await installation.owner.fetchval("select count(*) from log.events where type like '%person-erased%'") == 1


async def test_a_retried_request_is_answered_as_the_first(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    body = {"person": name, "confirm": name, "reason": "ticket 7"}
    headers = {"Idempotency-Key": "once"}
    answers = [await installation.admin.post("/v1/privacy/persons/erase", json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    await installation.create("u-2", "Another Person")
    other = {"person": "Another Person", "confirm": "Another Person", "reason": "ticket 8"}
    refused = await installation.admin.post("/v1/privacy/persons/erase", json=other, headers=headers)
    assert refused.status_code == 422
    assert (await installation.admin.get("/v1/accounts/u-2")).json()["name"] == "Another Person"


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"confirm": "other"}, 422), ({"confirm": None}, 400), ({"reason": ""}, 400), ({"reason": " "}, 400)],
)
async def test_nobody_is_erased_by_mistake(installation: Any, name: str, changed: dict[str, Any], status: int) -> None:
    await installation.create("u-1", name)
    assert (await installation.erase(name, **changed)).status_code == status
    assert (await installation.erase("Nobody")).status_code == 404
    assert (await installation.admin.get("/v1/accounts/u-1")).json()["name"] == name


async def test_a_reason_does_not_keep_the_name(installation: Any, name: str) -> None:
    await installation.create("u-1", name)
    answer = await installation.erase(name, reason=f"{name.upper()} asked for it")
    assert (answer.status_code, answer.json()["field"]) == (422, "/reason")


async def test_nobody_erases_themselves(installation: Any, name: str) -> None:
    token = await installation.create("boss", name, roles=["admin"])
    async with installation.as_account(token) as client:
        body = {"person": name, "confirm": name, "reason": "x"}
        assert (await client.post("/v1/privacy/persons/erase", json=body)).status_code == 403


STEPS = {
    "finding the person": "select 1 from privacy.subjects for update",
    "closing an account": "update log.streams set version = version where stream_id = 'account:u-1'",
    "forgetting the key": "select 1 from privacy.subjects for share",
}
"""What the erasure waits for at each step while another transaction holds it."""


@pytest.mark.parametrize("held", STEPS.values(), ids=STEPS)
async def test_a_kill_at_any_step_leaves_nothing_done_and_a_retry_does_all(
    installation: Any, name: str, held: str
) -> None:
    token = await installation.create("u-1", name, roles=["viewer"])
    async with installation.owner.transaction():
        await installation.owner.execute(held)
        erasing = asyncio.create_task(installation.erase(name))
        assert await until(lambda: _kill_who_waits(installation.platform))
        assert (await erasing).status_code == 503
    async with installation.as_account(token) as client:
        assert (await client.get("/v1/whoami")).json()["name"] == name
    assert await installation.owner.fetchval("select count(*) from log.events where type like '%person-erased%'") == 0
    assert (await installation.erase(name)).status_code == 200
    assert (await installation.admin.get("/v1/accounts/u-1")).json()["name"] == ERASED


async def _kill_who_waits(platform: Platform) -> bool:
    """End the backend that waits for a lock, as a crash of the service or of PostgreSQL would."""
    return bool(
        await platform.pool.fetchval(
            """select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'"""
        )
    )


async def test_an_account_that_is_being_created_meanwhile_stays_closed(installation: Any, name: str) -> None:
    platform = installation.platform
    await installation.create("u-1", name)
    async with platform.pool.acquire() as connection, connection.transaction():
        await platform.vault.identify(connection, name, "u-2")  # a creation got this far
    assert (await installation.erase(name)).json()["accounts"] == ["u-1", "u-2"]
    late = await installation.admin.post("/v1/accounts", json={"account": "u-2", "person": name, "roles": ["admin"]})
    assert late.status_code == 409
    assert (await find_account(platform.reader, "u-2")).roles == frozenset()


async def test_a_failed_creation_does_not_make_the_account_somebody_elses(installation: Any, name: str) -> None:
    await installation.create("u-1", "Right Person", roles=["viewer"])
    answer = await installation.admin.post("/v1/accounts", json={"account": "u-1", "person": name})
    assert answer.status_code == 409
    erased = (await installation.erase(name)).json()
    assert erased["accounts"] == []
    assert (await installation.admin.get("/v1/accounts/u-1")).json()["roles"] == ["viewer"]


async def test_plain_events_are_said_anew_and_their_bodies_erased_by_the_owner(installation: Any, name: str) -> None:
    platform = installation.platform
    await given_plain(platform, "old-1", name)
    await given_plain(platform, "old-2", name)
    before = await installation.export()
    await identify_accounts(platform)
    await identify_accounts(platform)
    states = [await find_account(platform.reader, f"old-{n}") for n in (1, 2)]
    assert states[0].person == states[1].person
    assert is_pseudonym(states[0].person)
    read = (await installation.admin.get("/v1/accounts/old-1")).json()
    assert (read["name"], read["display_name"]) == (name, f"{name} II.")

    erased = (await installation.erase(name)).json()
    assert len(erased["bodies"]) == 2
    assert await scrub(installation.owner) == 2
    assert await scrub(installation.owner) == 0

    dump = str(await installation.owner.fetch("select convert_from(body, 'UTF8') from log.events"))
    assert name not in dump
    state = await find_account(platform.reader, "old-1")
    assert (state.person, state.kind, state.account) == (states[0].person, "human", "old-1")
    events = (await platform.reader.read(account_stream("old-1")))[0]
    assert [type(event.data) for event in events[2:3]] == [AccountIdentified]
    report = verified(await installation.export())
    assert report.erased == 2
    assert verified(before).erased == 0, "a file made before stays true, and keeps the name: it has to be destroyed"


async def test_an_altered_event_is_found_beside_erased_ones(installation: Any, name: str) -> None:
    await given_plain(installation.platform, "old-1", name)
    await given_plain(installation.platform, "old-2", "Somebody Else")
    await identify_accounts(installation.platform)
    await installation.erase(name)
    await installation.owner.execute("select log.erase_bodies()")
    await installation.owner.execute("alter table log.events disable trigger append_only_rows")
    await installation.owner.execute(
        "update log.events set body = convert_to('{}', 'UTF8') where stream_id = 'account:old-2' and version = 0"
    )
    report = verify_pack(BytesIO(await installation.export()))
    assert [problem.message for problem in report.problems] == ["its body does not have the hash that the log holds"]
    assert report.erased == 1


@pytest.mark.parametrize(
    "statement",
    [
        "update log.events set body = null where stream_id = 'account:old-2' and version = 0",
        "update log.events set body = null where stream_id = 'account:old-1' and version = 1",
        "update log.events set body = null, actor = 'x' where stream_id = 'account:old-1' and version = 0",
        "update log.events set body = convert_to('{}', 'UTF8') where stream_id = 'account:old-1' and version = 0",
        "update log.events set body_sha256 = sha256('x') where stream_id = 'account:old-1' and version = 0",
        "delete from log.events where stream_id = 'account:old-1' and version = 0",
        "truncate log.events",
    ],
)
async def test_even_the_owner_can_do_no_more_than_what_an_erasure_named(
    installation: Any, name: str, statement: str
) -> None:
    await given_plain(installation.platform, "old-1", name)
    await given_plain(installation.platform, "old-2", "Somebody Else")
    await identify_accounts(installation.platform)
    await installation.erase(name)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await installation.owner.execute(statement)


async def test_an_erasure_that_cannot_be_read_names_nothing_and_stops_neither_migration_nor_another(
    installation: Any, name: str
) -> None:
    """Any service can append one, and nobody could take it out of the log again."""
    await given_plain(installation.platform, "old-1", name)
    await given_plain(installation.platform, "old-2", "Somebody Else")
    await identify_accounts(installation.platform)
    other = "select event_id::text from log.events where stream_id = 'account:old-2' and version = 0"
    event_id = (await installation.owner.fetchval(other)).encode()
    for body in (
        b"\xff", b"", b"{", b"[" * 100_000, b"[]", b"null", b'{"bodies":1}', b'{"bodies":null}',
        b'{"bodies":"%b"}' % event_id, b'{"bodies":["%b",3]}' % event_id, b'{"bodies":["%b",null,"x"]}' % event_id,
    ):  # fmt: skip
        await installation.platform.pool.execute(
            """select log.append_batch('{person:p-0}', '{null}', '{1}', '{1}', '{0}', array[gen_random_uuid()],
                 '{io.hallmark.privacy.person-erased.v1}', array[$1::bytea], '{a}',
                 array[now()], array[gen_random_uuid()], null, null)""",
            body,
        )
    assert await installation.owner.fetchval("select log.erase_bodies()") == 0, "what a migration does"
    await installation.erase(name)
    assert await scrub(installation.owner) == 1
    assert verified(await installation.export()).erased == 1


async def test_the_services_cannot_erase_a_body_nor_claim_another_key(installation: Any, name: str) -> None:
    await given_plain(installation.platform, "old-1", name)
    await identify_accounts(installation.platform)
    await installation.erase(name)
    for statement in (
        "select log.erase_bodies()", "update log.events set body = null", "update privacy.installation set one = true",
        "delete from privacy.installation", "delete from privacy.accounts",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await installation.platform.pool.execute(statement)


async def test_a_service_with_another_key_does_not_start(installation: Any) -> None:
    platform = installation.platform
    await platform.vault.claim()
    settings = platform.settings.model_copy(update={"privacy_key": _secret(b"o" * 32)})
    other = Platform(settings, platform.pool, platform.store, platform.notifier, platform.objects, platform.clock)
    with pytest.raises(PrivacyKeyError, match="HALLMARK_PRIVACY_KEY"):
        await other.vault.claim()


def _secret(raw: bytes) -> Any:
    from base64 import b64encode

    from pydantic import SecretStr

    return SecretStr(b64encode(raw).decode())


async def test_a_digest_of_the_request_that_named_the_person_is_gone(installation: Any, name: str) -> None:
    body = {"account": "u-1", "person": name}
    answer = await installation.admin.post("/v1/accounts", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    kept = "select count(*) from work.idempotency"
    assert await installation.owner.fetchval(kept) == 1
    await installation.erase(name)
    assert await installation.owner.fetchval(kept) == 0
    assert hashlib.sha256(name.encode()).digest() not in await installation.everything()
