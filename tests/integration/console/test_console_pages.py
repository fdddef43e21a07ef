"""Pages over real HTTP: signing in, what they show, and that nothing hostile gets through."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from registry_core.http.caller import COOKIE
from support_console import add_account
from support_portfolio import HOSTILE

PAGES = ["/", "/reviews", "/findings", "/versions/model:credit-risk@2.0.0-rc.1", "/versions/model:hostile@0.0.1"]


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
async def browser(seeded: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has signed in."""
    async with httpx.AsyncClient(base_url=seeded.console.url, headers={"accept": "text/html"}) as client:
        answer = await client.post("/login", data={"token": seeded.token})
        assert answer.status_code == 303
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(seeded: Any, path: str) -> None:
    async with httpx.AsyncClient(base_url=seeded.console.url, headers={"accept": "text/html"}) as client:
        answer = await client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
        form = await client.get(answer.headers["location"])
        back = next(attrs["value"] for tag, attrs in Tags(form.text).tags if attrs.get("name") == "next")
        assert back == path
        signed_in = await client.post("/login", data={"token": seeded.token, "next": back})
        assert signed_in.headers["location"] == path
        assert (await client.get(path)).status_code == 200


async def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(seeded: Any) -> None:
    answer = await seeded.http.post("/login", data={"token": seeded.token})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}={seeded.token}".lower())
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie


async def test_the_link_of_the_first_start_signs_in(seeded: Any) -> None:
    async with httpx.AsyncClient(base_url=seeded.console.url) as client:
        first = await client.get(f"/?token={seeded.token}")
        assert first.headers["location"] == f"/login?token={seeded.token}"
        second = await client.get(first.headers["location"])
        assert (second.status_code, second.headers["location"]) == (303, "/")
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "hmk_maria_00000000_" + "0" * 64, "hmk_ma\x00ria_1_2", "ü" * 300])
async def test_a_wrong_token_is_refused_with_words(seeded: Any, token: str) -> None:
    answer = await seeded.http.post("/login", data={"token": token}, headers={"authorization": ""})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "unknown, revoked or expired" in answer.text


async def test_another_site_signs_nobody_in(seeded: Any) -> None:
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    async with httpx.AsyncClient(base_url=seeded.console.url) as client:
        link = await client.get(f"/login?token={seeded.token}", headers=foreign)
        form = await client.post("/login", data={"token": seeded.token}, headers=foreign)
    assert (link.status_code, form.status_code) == (200, 403)
    assert "set-cookie" not in (*link.headers, *form.headers)


async def test_signing_out_forgets_the_token(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/logout")).status_code == 303
    assert (await browser.get("/")).status_code == 303


async def test_an_account_without_a_role_is_told_whom_to_ask(seeded: Any) -> None:
    token = await add_account(seeded.console.platform, "guest")
    answer = await seeded.http.get("/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "ask an administrator" in answer.text


@pytest.mark.parametrize(
    "path", ["/versions/model:nothing@1.0.0", "/versions/" + quote(HOSTILE.replace("/", "")), "/versions/x"]
)
async def test_an_unknown_version_is_a_page_that_says_so(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in answer.text


async def test_the_portfolio_shows_versions_counts_and_attention(browser: httpx.AsyncClient) -> None:
    text = " ".join(Tags((await browser.get("/")).text).text.split())
    assert "15 versions of 11 assets" in text
    assert "1 critical vulnerability open" in text
    assert re.search(r"3 Approved", text)
    for name in ("credit-risk", "fraud-detector", "ticket-summary"):
        assert name in text


async def test_the_table_can_be_narrowed(browser: httpx.AsyncClient) -> None:
    async def refs(**query: str) -> set[str | None]:
        tags = Tags((await browser.get("/", params=query)).text).tags
        return {attrs.get("data-row") for tag, attrs in tags if tag == "tr"} - {None}

    assert await refs(state="suspended") == {"model:intent-router@1.2.0"}
    assert await refs(q="CARD PAYMENTS") == {"model:fraud-detector@3.2.0"}
    assert await refs(q="%", risk="high") == set()
    assert len(await refs(kind="prompt")) == 2
    assert await refs(page="2") == set()
    assert len(await refs(page="x")) == 15


async def test_a_refused_version_shows_each_reason_with_its_fix(browser: httpx.AsyncClient) -> None:
    text = " ".join(Tags((await browser.get("/versions/model:credit-risk@2.0.0-rc.1")).text).text.split())
    for part in (
        "Promotion refused", "Evaluations meet the thresholds of the risk tier",
        "Fix retrain or move the decision threshold", "missing: backup_owner, retire_on",
        "at least 0.75", "dataset:loan-applicants@2026.6.0", "Registered as a draft with 1 file",
    ):  # fmt: skip
        assert part in text


async def test_a_dataset_lists_who_was_made_of_it(browser: httpx.AsyncClient) -> None:
    tags = Tags((await browser.get("/versions/dataset:loan-applicants@2026.6.0")).text).tags
    links = {attrs.get("href") for tag, attrs in tags if tag == "a"}
    assert {f"/versions/model:credit-risk@{version}" for version in ("1.0.0", "1.1.0", "2.0.0-rc.1")} <= links


async def test_the_review_queue_shows_who_is_waited_for(browser: httpx.AsyncClient) -> None:
    text = " ".join(Tags((await browser.get("/reviews")).text).text.split())
    assert "platform approved by jonas" in text
    assert "product waiting" in text
    assert "Expedited" in text
    assert "The review by tomas as product does not count" in text


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_hostile_becomes_markup(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    page = Tags(answer.text)
    assert answer.status_code == 200
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert [bool(attrs.get("src", "").startswith("/static/")) for attrs in scripts] == [True]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert not [attrs for _, attrs in page.tags if str(attrs.get("href", "")).startswith(("javascript:", "data:"))]
    assert not [attrs for tag, attrs in page.tags if tag == "img" and not str(attrs["src"]).startswith("/static/")]
    assert "49" not in re.findall(r"onerror=alert\(2\)>(\d+)", page.text)


async def test_hostile_texts_are_shown_as_text(browser: httpx.AsyncClient) -> None:
    page = Tags((await browser.get("/versions/model:hostile@0.0.1")).text)
    assert HOSTILE in page.text


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_private_and_load_nothing_from_elsewhere(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.headers["cache-control"] == "no-store"
    allowed = answer.headers["content-security-policy"]
    assert "unsafe" not in allowed
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(allowed.split("; "))
    page = Tags(answer.text)
    loaded = [attrs.get("src") or attrs.get("href") for tag, attrs in page.tags if tag in ("script", "img", "link")]
    for path_of_asset in set(loaded):
        asset = await browser.get(str(path_of_asset))
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
    assert not [attrs for _, attrs in page.tags if "style" in attrs]


@pytest.mark.parametrize("path", [*PAGES, "/login"])
async def test_pages_have_landmarks_labels_and_one_heading(browser: httpx.AsyncClient, path: str) -> None:
    tags = Tags((await browser.get(path)).text).tags
    names = [tag for tag, _ in tags]
    assert names.count("main") == names.count("h1") == 1
    assert ("html", {"lang": "en"}) in tags
    labelled = {attrs["for"] for tag, attrs in tags if tag == "label"}
    fields = [attrs for tag, attrs in tags if tag in ("input", "select") and attrs.get("type") != "hidden"]
    assert {attrs["id"] for attrs in fields} == labelled
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))


async def test_a_file_of_another_release_is_not_found(seeded: Any) -> None:
    for name in ("console.000000000000.css", "..%2f..%2fpages.py", "console.css"):
        assert (await seeded.http.get(f"/static/{name}")).status_code == 404


async def test_an_empty_console_says_what_to_do_next(served: Any) -> None:
    token = await add_account(served.platform, "maria", "viewer")
    async with httpx.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {token}"}) as http:
        assert "hallmark register" in (await http.get("/")).text
        assert "hallmark promote" in (await http.get("/reviews")).text
        assert "No open findings" in (await http.get("/findings")).text


async def test_the_api_description_still_renders(seeded: Any) -> None:
    paths = (await seeded.http.get("/schema/openapi.json")).json()["paths"]
    assert {"/v1/views", "/v1/views/{view}", "/v1/views/{view}/live"} <= set(paths)
    assert "/login" not in paths
