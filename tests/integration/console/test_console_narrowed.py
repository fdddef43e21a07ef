"""Somebody with a role on some assets alone sees these, on every page, in every view and in every stream."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from hallmark_console.projections import PROJECTIONS
from registry_core.events import Event
from registry_core.events.governance import AccountCreated, RoleGranted, RoleWithdrawn
from registry_core.events.versions import MetadataAmended
from registry_core.identity import account_stream, new_token
from registry_core.values import Metadata
from support_console import append
from support_portfolio import DRIFT

ASSET, OTHER = "model:credit-risk", "model:fraud-detector"
_REF: Final = re.compile(r"\b(?:model|adapter|prompt|dataset|code):[\w.-]+@\d[\w.+-]*")
_NUMBER: Final = iter(range(1000))


async def granted(seeded: Any, assets: str) -> tuple[str, str]:
    """An account that may read these assets alone, and a token of it."""
    name = f"narrow{next(_NUMBER)}"
    token, issued = new_token(name)
    events: list[Event] = [
        AccountCreated(account=name, kind="human", person=name),
        RoleGranted(account=name, role="viewer", assets=assets),
        issued,
    ]
    await append(seeded.console.platform, account_stream(name), *events, by="admin")
    return name, token


@pytest.fixture
async def narrow(seeded: Any) -> AsyncIterator[httpx.AsyncClient]:
    _, token = await granted(seeded, ASSET)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=seeded.console.url, headers=headers, timeout=30) as http:
        yield http


def assets_in(text: str) -> set[str]:
    return {ref.partition("@")[0] for ref in _REF.findall(text)}


async def test_a_view_that_is_about_no_asset_is_for_those_who_read_everywhere(narrow: httpx.AsyncClient) -> None:
    assert (await narrow.get("/v1/views/accounts")).status_code == 403


@pytest.mark.parametrize("view", [projection.name for projection in PROJECTIONS if projection.name != "accounts"])
async def test_a_view_has_the_rows_of_their_assets_and_all_of_these(seeded: Any, narrow: Any, view: str) -> None:
    if view == "external_drift":
        index = await append(seeded.console.platform, "external:nightly:churn", DRIFT, by="service:ingestion")
        await seeded.http.get(f"/v1/views/{view}", params={"at_least": index, "timeout": 30})
    everything = (await seeded.http.get(f"/v1/views/{view}", params={"limit": 1000})).json()["rows"]
    seen = (await narrow.get(f"/v1/views/{view}", params={"limit": 1000})).json()["rows"]

    def about(row: dict[str, Any]) -> set[str]:
        return {row[name].partition("@")[0] for name in ("ref", "dependant", "depends_on") if row.get(name)}

    assert seen == [row for row in everything if about(row) == {ASSET}]
    assert len(seen) < len(everything)
    assert seen or view in {
        "lineage",
        "findings",
        "external_drift",
    }  # it depends on others, out of reach; nothing was found in it


async def test_a_filter_of_the_request_s_own_does_not_reach_further(narrow: Any) -> None:
    for filters in ({"ref": f"{OTHER}@3.2.0"}, {"state": "suspended"}, {"owner": "x' or '1'='1"}):
        assert (await narrow.get("/v1/views/version_overview", params=filters)).json()["rows"] == []


@pytest.mark.parametrize("path", ["/", "/reviews", "/findings", "/?q=fraud"])
async def test_a_page_names_their_assets_alone(seeded: Any, narrow: Any, path: str) -> None:
    whole, shown = (await seeded.http.get(path)).text, await narrow.get(path)
    assert shown.status_code == 200
    assert assets_in(shown.text) <= {ASSET}
    assert assets_in(whole) - {ASSET}


async def test_counts_are_of_their_assets(narrow: Any) -> None:
    rows = (await narrow.get("/v1/views/version_overview", params={"limit": 1000})).json()["rows"]
    text = re.sub(r"<[^>]+>|\s+", " ", (await narrow.get("/")).text)
    assert re.search(rf"\b{len(rows)}\b", text)
    assert "14" not in re.findall(r"\b\d+\b", text)  # versions of the whole portfolio


async def test_a_version_s_page_is_theirs_or_refused(narrow: Any) -> None:
    assert (await narrow.get(f"/versions/{ASSET}@1.0.0")).status_code == 200
    assert (await narrow.get(f"/versions/{OTHER}@3.2.0")).status_code == 403


async def test_lineage_leaves_out_what_they_may_not_read_and_says_so(seeded: Any, narrow: Any) -> None:
    path = f"/v1/versions/{ASSET}@1.0.0/lineage"
    whole, seen = (await seeded.http.get(path)).json(), (await narrow.get(path)).json()
    assert assets_in(str(whole["nodes"])) > {ASSET}
    assert assets_in(str(seen)) == {ASSET}
    assert (seen["complete"], [cut["because"] for cut in seen["cut"]]) == (False, ["access"])
    assert (await narrow.get(f"/v1/versions/{OTHER}@3.2.0/lineage")).status_code == 403


async def test_a_stream_brings_their_changes_alone_and_ends_when_the_grant_does(seeded: Any) -> None:
    name, token = await granted(seeded, ASSET)
    platform = seeded.console.platform
    headers = {"authorization": f"Bearer {token}"}
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=seeded.console.url, headers=headers, timeout=30) as http:
        async with http.stream("GET", "/v1/views/version_overview/live") as answer:
            lines = answer.aiter_lines()
            await anext(lines)  # subscribed
            for asset, version in ((OTHER, "3.2.0"), (ASSET, "1.0.0")):
                ref = f"{asset}@{version}"
                await append(platform, ref, MetadataAmended(ref=ref, metadata=Metadata(owner="narrowed")))
            first = [line async for line in _until_data(lines)][-1]
            assert assets_in(first.partition('"ref"')[2][:60]) == {ASSET}
            withdrawn = RoleWithdrawn(account=name, role="viewer", assets=ASSET)
            await append(platform, account_stream(name), withdrawn, by="admin")
            await append(platform, f"{ASSET}@1.0.0", MetadataAmended(ref=f"{ASSET}@1.0.0", metadata=Metadata()))
            rest = [line async for line in lines]  # it ends
        assert not [line for line in rest if line.startswith("data:") and "{" in line]
        assert (await http.get("/v1/views/version_overview/live")).status_code == 403


async def _until_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith("data:") and "{" in line:
            return
