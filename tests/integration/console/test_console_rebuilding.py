"""Projections over HTTP: who may, what is answered, and what comes of it."""

from typing import Any

import httpx
from hallmark_console.projections import PROJECTIONS
from support import until
from support_console import add_account, append
from support_portfolio import registered


async def admin(seeded: Any, name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await add_account(seeded.console.platform, name, 'admin')}"}


async def test_an_administrator_lists_rebuilds_switches_back_and_drops(seeded: Any) -> None:
    http: httpx.AsyncClient = seeded.http
    headers = await admin(seeded, "root")
    listed = (await http.get("/v1/projections", headers=headers)).json()["projections"]
    assert {row["table"]: (row["state"], row["version"]) for row in listed} == {
        f"{projection.name}__v1": ("live", 1) for projection in PROJECTIONS
    }
    assert all(row["lag"] >= 0 and row["bytes"] > 0 for row in listed)

    async def state(table: str) -> str | None:
        rows = (await http.get("/v1/projections/findings", headers=headers)).json()["projections"]
        return next((row["state"] for row in rows if row["table"] == table), None)

    before = (await http.get("/v1/views/findings")).json()["rows"]
    asked = await http.post("/v1/projections/findings/rebuild", headers=headers, json={"switch": True})
    assert (asked.status_code, asked.json()["table"]) == (202, "findings__v1_g2")
    await until(lambda: _is(state, "findings__v1_g2", "live"))
    assert (await http.get("/v1/views/findings")).json()["rows"] == before
    refused = await http.delete("/v1/projections/findings/tables/findings__v1_g2", headers=headers)
    assert (refused.status_code, refused.json()["fix"][:6]) == (409, "switch")
    await http.post("/v1/projections/findings/switch", headers=headers, json={})
    await until(lambda: _is(state, "findings__v1", "live"))
    index = await append(seeded.console.platform, "model:after@1.0.0", registered("model:after@1.0.0"))
    assert (await http.get("/v1/views/findings", params={"at_least": index})).status_code == 200
    dropped = await http.delete("/v1/projections/findings/tables/findings__v1_g2", headers=headers)
    assert dropped.status_code == 200
    assert await state("findings__v1_g2") is None


async def _is(state: Any, table: str, wanted: str) -> bool:
    return bool(await state(table) == wanted)


async def test_nobody_else_may_and_what_is_not_there_is_said(seeded: Any) -> None:
    assert (await seeded.http.get("/v1/projections")).status_code == 403
    refused = await seeded.http.post("/v1/projections/findings/rebuild", json={"switch": True})
    assert (refused.status_code, "admin" in refused.json()["fix"]) == (403, True)
    headers = await admin(seeded, "root2")
    missing = await seeded.http.post("/v1/projections/nothing/rebuild", headers=headers, json={})
    assert (missing.status_code, "projections list" in missing.json()["fix"]) == (404, True)
    wrong = await seeded.http.post("/v1/projections/findings/rebuild", headers=headers, json={"swich": True})
    assert wrong.status_code == 400
    nothing = await seeded.http.post("/v1/projections/review_queue/switch", headers=headers, json={})
    assert (nothing.status_code, "rebuild" in nothing.json()["fix"]) == (409, True)
    for path in ("/v1/projections/x%22%3B/switch", "/v1/projections/findings/switch"):
        strange = await seeded.http.post(path, headers=headers, json={"table": "a'; drop table x; --"})
        assert strange.status_code == 404
