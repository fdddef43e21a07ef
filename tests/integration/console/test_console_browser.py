"""The console in a real browser: signing in, looking, and seeing changes arrive by themselves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from registry_core.events.lifecycle import VersionSuspended
from registry_core.events.versions import MetadataAmended
from registry_core.values import Metadata
from support_console import append
from support_portfolio import registered

pytestmark = pytest.mark.browser


@pytest.fixture
async def complaints() -> list[str]:
    """What the browser reported: errors of scripts, and what the content security policy stopped."""
    return []


@pytest.fixture
async def page(seeded: Any, chromium: Browser, complaints: list[str]) -> AsyncIterator[Page]:
    """Signed in, on the portfolio, with the live subscription open."""
    context = await chromium.new_context(viewport={"width": 1360, "height": 850}, base_url=seeded.console.url)
    opened = await context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    opened.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    await opened.goto("/")
    await opened.get_by_label("Access token").fill(seeded.token)
    await opened.get_by_role("button", name="Sign in").click()
    await expect(opened.get_by_role("heading", name="Portfolio")).to_be_visible()
    await expect(opened.get_by_role("status")).to_have_text("Live")
    yield opened
    assert complaints == []
    await context.close()


async def test_a_viewer_signs_in_opens_a_version_and_sees_it_change(seeded: Any, page: Page) -> None:
    await page.get_by_role("link", name="credit-risk 1.1.0", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("credit-risk 1.1.0 Approved")
    await expect(page.get_by_role("status")).to_have_text("Live")
    ref = "model:credit-risk@1.1.0"
    await append(seeded.console.platform, ref, VersionSuspended(ref=ref, cause="bias reported"), by="wei")
    await expect(page.get_by_text("Suspended: bias reported")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Suspended")


async def test_a_new_version_appears_in_the_portfolio_by_itself(seeded: Any, page: Page) -> None:
    await append(seeded.console.platform, "model:newcomer@1.0.0", registered("model:newcomer@1.0.0", owner="ines"))
    await expect(page.get_by_role("link", name="newcomer 1.0.0")).to_be_visible()


async def test_the_table_narrows_while_typing_and_stays_narrow_when_something_changes(seeded: Any, page: Page) -> None:
    rows = page.locator("tbody tr[data-row]")
    await page.get_by_label("Search by name, owner or purpose").fill("churn")
    await expect(rows).to_have_count(1)
    ref = "model:churn@0.4.2"
    await append(seeded.console.platform, ref, MetadataAmended(ref=ref, metadata=Metadata(owner="jonas")))
    await expect(rows.get_by_text("jonas")).to_be_visible()
    await expect(rows).to_have_count(1)
    assert "q=churn" in page.url


async def test_an_opened_event_stays_open_when_another_one_arrives(seeded: Any, page: Page) -> None:
    ref = "model:ticket-summary@2.0.0"
    await page.goto(f"/versions/{ref}")
    await expect(page.get_by_role("status")).to_have_text("Live")
    await page.get_by_text("Registered as a draft with 1 file").click()
    details = page.get_by_text("io.hallmark.version.registered.v1")
    await expect(details).to_be_visible()
    await append(seeded.console.platform, ref, MetadataAmended(ref=ref, metadata=Metadata(owner="ines")), by="ines")
    await expect(page.get_by_text("Metadata amended")).to_be_visible()
    await expect(details).to_be_visible()


async def test_hostile_texts_run_nothing(page: Page) -> None:
    for path in ("/versions/model:hostile@0.0.1", "/findings", "/?q=hostile"):
        await page.goto(path)
        await expect(page.get_by_role("status")).to_have_text("Live")
    await page.goto("/findings")
    await expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/reviews", "/findings", "/versions/model:hostile@0.0.1"])
async def test_nothing_runs_out_of_a_narrow_screen(page: Page, path: str) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(path)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_everything_can_be_reached_by_keyboard(page: Page) -> None:
    await page.goto("/reviews")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="model:all-minilm-l6-v2@1.0.0")).to_be_focused()


async def test_who_signs_out_has_to_sign_in_again(page: Page) -> None:
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto("/findings")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


DELIVERY = """
<div class="scroll"><table class="deliveries"><tbody><tr>
<td><span class="outcome out-fail">Refused</span></td>
<th scope="row" class="breakable"><a href="/">x-hub-signature-256 does not fit: the source has another secret</a></th>
</tr></tbody></table></div>
"""


async def test_a_delivery_s_outcome_stands_beside_its_reason_on_a_narrow_screen(page: Page) -> None:
    await page.set_viewport_size({"width": 400, "height": 740})
    await page.evaluate("html => { document.querySelector('main').innerHTML = html; }", DELIVERY)
    outcome = await page.locator(".deliveries .outcome").bounding_box()
    reason = await page.locator(".deliveries a").bounding_box()
    assert outcome is not None
    assert reason is not None
    assert outcome["x"] + outcome["width"] <= reason["x"]
