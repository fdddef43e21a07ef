"""Views over SQL and over HTTP."""

import json
from typing import Any

import asyncpg
import pytest
from hallmark_console.projections import EXTERNAL_DRIFT, PROJECTIONS
from registry_core.projections import Projection
from support_console import append
from support_portfolio import DRIFT, HOSTILE, registered, stored

REF = "model:fraud-detector@3.2.0"


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without spellings of time in which PostgreSQL and Python differ."""
    times = ("_at", "_due")
    return [{k: v for k, v in row.items() if not k.endswith(times)} for row in rows]


async def test_every_view_is_listed_with_its_columns(seeded: Any) -> None:
    listed = (await seeded.http.get("/v1/views")).json()["views"]
    assert [view["name"] for view in listed] == sorted(projection.name for projection in PROJECTIONS)
    overview = next(view for view in listed if view["name"] == "version_overview")
    assert overview["columns"]["approvals"] == "jsonb"
    assert {"state", "open_critical", "sbom_present"} <= set(overview["filterable"])
    assert not {"approvals", "updated_at"} & set(overview["filterable"])


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
async def test_the_table_holds_what_the_fold_makes_of_the_log(seeded: Any, projection: Projection) -> None:
    if projection is EXTERNAL_DRIFT:
        index = await append(seeded.console.platform, "external:nightly:churn", DRIFT, by="service:ingestion")
        await seeded.http.get("/v1/views/external_drift", params={"at_least": index, "timeout": 30})
    log = await seeded.console.platform.store.read_log(0, 10_000)
    expected = json.loads(json.dumps(projection.fold({}, log)))
    answer = await seeded.http.get(f"/v1/views/{projection.name}", params={"limit": 1000})
    rows = answer.json()["rows"]
    assert comparable(rows) == comparable(sorted(expected.values(), key=lambda row: row["log_index"]))
    assert rows


async def test_rows_can_be_filtered_by_column(seeded: Any) -> None:
    async def refs(**filters: object) -> set[str]:
        rows = (await seeded.http.get("/v1/views/version_overview", params=filters)).json()["rows"]
        return {row["ref"] for row in rows}

    assert await refs(state="suspended") == {"model:intent-router@1.2.0"}
    assert await refs(open_critical=1) == {REF}
    assert await refs(sbom_present="true", kind="adapter") == {"adapter:support-tone@0.9.0"}
    assert await refs(owner="nobody' or '1'='1") == set()


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"nonsense": "1"}, "filter by one of"),
        ({"approvals": "[]"}, "filter by one of"),
        ({"open_critical": "many"}, "integer"),
        ({"open_critical": "99999999999"}, "integer"),
        ({"sbom_present": "yes"}, "boolean"),
        ({"owner": "\x00"}, "NUL"),
        ({'owner" or true --': "1"}, "filter by one of"),
        ({"limit": "0"}, "limit"),
        ({"limit": "100000"}, "limit"),
        ({"after": "x"}, "after"),
        ({"at_least": str(2**63)}, "at_least"),
    ],
)
async def test_a_question_that_cannot_be_answered_says_how_to_ask(
    seeded: Any, query: dict[str, str], word: str
) -> None:
    answer = await seeded.http.get("/v1/views/version_overview", params=query)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.text
    assert answer.json()["fix"]


@pytest.mark.parametrize("name", ["events", "pg_class", "version_overview__v1", 'x"; drop table y', "ü"])
async def test_only_views_of_projections_can_be_reached(seeded: Any, owner: asyncpg.Connection, name: str) -> None:
    await owner.execute("create or replace view views.events as select * from log.events")
    assert (await seeded.http.get(f"/v1/views/{name}")).status_code == 404
    assert (await seeded.http.get(f"/v1/views/{name}/live")).status_code == 404


async def test_paging_shows_every_row_once(seeded: Any) -> None:
    seen: list[str] = []
    after = -1
    while after is not None:
        page = (await seeded.http.get("/v1/views/version_timeline", params={"limit": 17, "after": after})).json()
        seen += [row["key"] for row in page["rows"]]
        after = page.get("next")
    total = await seeded.console.platform.pool.fetchval("select count(*) from views.version_timeline")
    assert len(seen) == len(set(seen)) == total


async def test_a_read_waits_for_the_write_before_it(seeded: Any) -> None:
    index = await append(seeded.console.platform, "model:fresh@1.0.0", registered("model:fresh@1.0.0"))
    query = {"ref": "model:fresh@1.0.0", "at_least": index}
    answer = (await seeded.http.get("/v1/views/version_overview", params=query)).json()
    assert [row["log_index"] for row in answer["rows"]] == [index]
    assert answer["log_index"] >= index


async def test_a_view_that_stays_behind_says_so(seeded: Any) -> None:
    query = {"at_least": 10**9, "timeout": 0.05}
    answer = await seeded.http.get("/v1/views/version_overview", params=query)
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:hallmark:problem:view-behind"


async def test_hostile_texts_come_out_as_they_went_in(seeded: Any) -> None:
    rows = (await seeded.http.get("/v1/views/findings", params={"ref": "model:hostile@0.0.1"})).json()["rows"]
    assert {row["finding"] for row in rows} == {HOSTILE}
    assert {row["summary"] for row in rows} == {f"review: {HOSTILE}", f"{HOSTILE}\ufffd"}


async def test_a_request_without_a_token_gets_nothing(seeded: Any) -> None:
    for path in ("/v1/views", "/v1/views/findings", "/v1/views/findings/live"):
        assert (await seeded.http.get(path, headers={"authorization": ""})).status_code == 401


async def test_dashboards_see_the_views_and_nothing_else(seeded: Any, owner: asyncpg.Connection) -> None:
    await owner.execute("set role hallmark_reader")
    assert await owner.fetchval("select count(*) from views.version_overview") > 0
    for hidden in ("projection.version_overview__v1", "log.events", "work.projections"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.fetchval(f"select count(*) from {hidden}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("delete from views.version_overview")


async def test_a_pages_timeline_is_read_through_an_index(seeded: Any, owner: asyncpg.Connection) -> None:
    await owner.execute("set enable_seqscan = off")
    plan = await owner.fetch(
        "explain select * from views.version_timeline where ref = $1 and log_index < 9 order by log_index desc", REF
    )
    assert "version_timeline__v1_by_ref" in str(plan)


async def test_an_event_that_changes_nothing_for_a_view_moves_its_checkpoint(seeded: Any) -> None:
    index = await append(seeded.console.platform, REF, stored(REF))
    answer = await seeded.http.get("/v1/views/review_queue", params={"at_least": index})
    assert answer.json()["log_index"] >= index
