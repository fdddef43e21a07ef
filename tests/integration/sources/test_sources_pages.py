"""The console's pages of sources: what administrators see, and that nothing a sender writes is more than text."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hallmark_console import bootstrap as console
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from hallmark_lifecycle import bootstrap as lifecycle
from registry_core.settings import Settings
from registry_core.source_polls import record_poll
from support import http, running, token_of
from support_inbox import Inbox
from support_sources import SECRET, Sent, github, release, wandb

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Inbox]:
    builds = [ledger.build, ingestion.build, lifecycle.build, console.build]
    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), builds) as (platform, services):
        token = await token_of(platform, "root", "admin")
        async with http(platform, services, token) as admin, http(platform, services) as outside:
            yield Inbox(admin, outside, platform, services)


async def test_sources_and_deliveries_are_shown_with_what_came_of_them(site: Inbox) -> None:
    assert "No source is connected" in (await site.admin.get("/sources")).text
    await site.connect("github", "hooks")
    await record_poll(site.platform.pool, "hooks", "away", "it does not answer", datetime.now(UTC))
    found = await site.deliver("hooks", release())
    await site.send("hooks", Sent({}, b"junk"))
    page = (await site.admin.get("/sources")).text
    for told in (
        "hooks",
        "hooks-feed",
        "code:widget@1.2.3 is registered",
        "no header x-hub-signature-256",
        "it does not answer",
    ):
        assert told in page
    narrowed = (await site.admin.get("/sources", params={"source": "hooks", "outcome": "refused"})).text
    assert ("code:widget" in narrowed, "no header x-hub-signature-256" in narrowed) == (False, True)
    one = await site.admin.get(f"/sources/deliveries/{found['id']}")
    assert one.status_code == 200
    assert f"hallmark source replay {found['id']}" in one.text
    assert "widget.whl" in one.text


async def test_what_a_sender_writes_is_shown_as_text(site: Inbox) -> None:
    await site.connect("wandb")
    found = await site.deliver("wandb", wandb(alias=HOSTILE))
    await site.connect("github")
    await site.send("github", github(HOSTILE, {"action": HOSTILE}))
    for path in ("/sources", f"/sources/deliveries/{found['id']}"):
        text = (await site.admin.get(path)).text
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text


async def test_no_page_shows_a_secret(site: Inbox) -> None:
    await site.connect("wandb")
    bearer = wandb().but(x_wandb_signature=None, authorization=f"Bearer {SECRET}")
    found = await site.deliver("wandb", bearer)
    for path in ("/sources", f"/sources/deliveries/{found['id']}"):
        assert SECRET not in (await site.admin.get(path)).text


@pytest.mark.parametrize("path", ["/sources/deliveries/x", "/sources/deliveries/0f8fad5b-d9cb-469f-a165-70867728950e"])
async def test_a_delivery_that_is_not_there_is_a_page_that_says_so(site: Inbox, path: str) -> None:
    answer = await site.admin.get(path)
    assert (answer.status_code, "this delivery is not known" in answer.text) == (404, True)


async def test_others_neither_see_the_pages_nor_a_link_to_them(site: Inbox) -> None:
    viewer = {"authorization": f"Bearer {await token_of(site.platform, 'vera', 'viewer')}"}
    assert (await site.outside.get("/sources", headers=viewer)).status_code == 403
    assert 'href="/sources"' not in (await site.outside.get("/findings", headers=viewer)).text
    assert 'href="/sources"' in (await site.admin.get("/findings")).text
