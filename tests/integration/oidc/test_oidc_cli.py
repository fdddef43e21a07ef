"""`hallmark login --oidc` and `logout`, against a real server and an issuer over real HTTP."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hallmark import issuers
from hallmark.cli import app
from hallmark.errors import HallmarkError
from hallmark.issuers import Issuer, Passing, by_browser, by_device
from registry_core.oidc.linking import Subject
from registry_core.settings import Settings
from support import served
from support_oidc import Issuing, issuing, linked, rsa_key
from typer.testing import CliRunner, Result


@pytest.fixture
def issuer() -> Iterator[Issuing]:
    with issuing(rsa_key("k1")) as made:
        yield made


@pytest.fixture
async def url(settings: Settings, issuer: Issuing) -> AsyncIterator[str]:
    """Of a server at which dana may sign in."""
    changed = {"kafka_bootstrap": "", "oidc_issuer": issuer.url, "oidc_client_id": "cli"}
    async with served(settings.model_copy(update=changed), ["ledger", "ingestion", "console"]) as (platform, address):
        await linked(platform, "dana", Subject(issuer.url, issuer.subject), "viewer")
        yield address


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HALLMARK_URL", "HALLMARK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


def visit(address: str) -> None:
    """As a browser does that somebody is signed in with; the program that opened it does not wait."""
    threading.Thread(target=lambda: urllib.request.urlopen(address, timeout=10).read(), daemon=True).start()


async def test_by_a_browser_on_this_machine_and_out_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hallmark.cli.login.typer.launch", visit)
    done = await run("login", "--oidc", "--url", url, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["account"] == "dana"
    assert (await run("whoami")).exit_code == 0
    assert json.loads((await run("logout", "--json")).stdout)["ended"] is True
    assert "Nothing was kept" in (await run("logout")).stdout


async def test_by_a_code_on_another_device(url: str, issuer: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.document["device_authorization_endpoint"] = f"{issuer.url}/device"
    issuer.device_answers = ["authorization_pending", "slow_down", "authorization_pending"]
    slept: list[float] = []
    monkeypatch.setattr(issuers, "Passing", lambda: Passing(sleep=slept.append))
    done = await run("login", "--oidc", "--url", url, "--json")
    assert done.exit_code == 0, done.output
    assert "WDJB-MJHT" in done.stderr
    assert f"{issuer.url}/enter" in done.stderr
    assert slept == [2, 2, 7, 7]
    assert json.loads(done.stdout)["account"] == "dana"


async def test_a_stranger_is_told_what_to_ask_for(url: str, issuer: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hallmark.cli.login.typer.launch", visit)
    issuer.subject = "zoe"
    refused = await run("login", "--oidc", "--url", url)
    assert refused.exit_code == 1
    assert "hallmark account link" in refused.output


def at(issuer: Issuing, /, **more: Any) -> Issuer:
    issuer.document.update(more)
    return Issuer.discover({"issuer": issuer.url, "client_id": "cli", "scopes": "openid"})


def failing(issuer: Issuer, **passing: Any) -> str:
    with pytest.raises(HallmarkError) as raised:
        by_device(issuer, lambda *_: None, Passing(**passing))
    return raised.value.detail


def test_a_code_that_nobody_enters_runs_out_and_a_refusal_ends_it(issuer: Issuing) -> None:
    device = at(issuer, device_authorization_endpoint=f"{issuer.url}/device")
    issuer.device_answers = ["authorization_pending"] * 1000
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    assert "in time" in failing(device, sleep=sleep, clock=lambda: passed[0])
    issuer.device_answers = ["access_denied"]
    assert "access_denied" in failing(device, sleep=sleep)


def test_an_answer_of_another_state_is_not_taken_and_another_issuer_s_neither(
    issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = at(issuer)
    issuer.answer = {"iss": "https://evil.example"}
    with pytest.raises(HallmarkError, match="not from the issuer"):
        by_browser(browser, visit)
    issuer.answer = {"state": "another"}
    monkeypatch.setattr(issuers, "SECONDS", 0.5)
    with pytest.raises(HallmarkError, match="in time"):
        by_browser(browser, visit)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"issuer": "https://evil.example"}, "another issuer's"),
        ({"token_endpoint": "http://192.0.2.1/token"}, "no https address"),
    ],
)
def test_an_issuer_that_leads_astray_is_not_followed(issuer: Issuing, document: dict[str, str], why: str) -> None:
    with pytest.raises(HallmarkError, match=why):
        at(issuer, **document)
