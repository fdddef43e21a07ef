"""The whole way in a real browser, over an issuer that is another site, as in the world."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from oidc_provider_mock import run_server_in_thread
from playwright.async_api import Browser, Page, expect
from registry_core.oidc.linking import Subject
from registry_core.settings import Settings
from support_console import Console, append, console
from support_oidc import linked
from support_portfolio import registered

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider of PyPI's, on `localhost`; the console is on 127.0.0.1, which browsers take for another site."""
    with run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def running(settings: Settings, provider: str) -> AsyncIterator[Console]:
    changed = {
        "kafka_bootstrap": "", "oidc_issuer": provider, "oidc_client_id": "console", "oidc_client_secret": "s p:ecial%",
        "oidc_name": "Example Inc.",
    }  # fmt: skip
    having = Settings.model_validate({**settings.model_dump(), **changed})
    async with console(having) as served:
        yield served


@pytest.fixture
async def page(running: Console, chromium: Browser) -> AsyncIterator[Page]:
    context = await chromium.new_context(viewport={"width": 1360, "height": 850}, base_url=running.url)
    complaints: list[str] = []
    opened = await context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    assert complaints == []
    await context.close()


async def sign_in_as(page: Page, subject: str) -> None:
    await page.get_by_role("link", name="Sign in with Example Inc.").click()
    await page.get_by_placeholder("sub").fill(subject)
    await page.get_by_role("button", name="Authorize").click()


async def shot(page: Page, name: str, folder: Path) -> None:
    await page.screenshot(path=folder / f"{name}.png")


async def test_somebody_signs_in_sees_pages_live_and_signs_out(
    running: Console, provider: str, page: Page, tmp_path: Path
) -> None:
    await linked(running.platform, "dana", Subject(provider, "dana@example.com"), "viewer")
    await page.goto("/findings")
    await shot(page, "login", tmp_path)
    await sign_in_as(page, "dana@example.com")
    await expect(page.get_by_role("heading", level=1, name="Findings")).to_be_visible()
    assert page.url == f"{running.url}/findings"
    await page.goto("/")
    await expect(page.get_by_role("status")).to_have_text("Live")
    await append(running.platform, "model:newcomer@1.0.0", registered("model:newcomer@1.0.0", owner="ines"))
    await expect(page.get_by_role("link", name="newcomer 1.0.0")).to_be_visible()
    (cookie,) = [each for each in await page.context.cookies(running.url) if each["name"] == "hallmark_token"]
    assert (cookie["sameSite"], cookie["httpOnly"]) == ("Strict", True)
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{provider}/oauth2/end_session**")
    await page.context.add_cookies([cookie])
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_stranger_finds_out_what_to_ask_for_and_a_refusal_is_told(
    running: Console, provider: str, page: Page, tmp_path: Path
) -> None:
    await page.goto("/login")
    await sign_in_as(page, "zoe@example.com")
    await expect(page.get_by_role("heading", name="No account yet")).to_be_visible()
    await expect(page.get_by_text("zoe@example.com", exact=True)).to_be_visible()
    await expect(page.get_by_label("Command for the administrator")).to_contain_text(f"--issuer {provider}")
    await shot(page, "stranger", tmp_path)
    await page.get_by_role("link", name="sign in again").click()
    await page.get_by_role("link", name="Sign in with Example Inc.").click()
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
    await shot(page, "refused", tmp_path)
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page.get_by_label("Access token")).to_be_visible()


async def test_nothing_runs_out_of_a_narrow_screen(running: Console, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto("/login")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await sign_in_as(page, "a-subject-as-long-as-those-of-some-issuers-" + "x" * 120)
    await expect(page.get_by_role("heading", name="No account yet")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
