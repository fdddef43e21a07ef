"""Tokens of issuers over HTTP, on real PostgreSQL: whom they open the door to, as whom, and until when."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events.evidence import ArtifactScanned
from registry_core.events.versions import ArtifactStored
from registry_core.oidc.linking import Linking, Subject
from registry_core.proofs.dsse import sign
from registry_core.proofs.keys import public_base64
from registry_core.service import Platform, Service, find_services
from registry_core.settings import Settings
from registry_core.store import Append, schema
from registry_core.values import File, sha256_digest
from support import http, new, running, token_of, until
from support_oidc import AUDIENCE, Issuing, issuing, rsa_key

DANA = "auth0|5f7c8ec7c33c6c004bbafe82"
GITHUB = {
    "sub": "repo:acme/credit-risk:ref:refs/heads/main", "repository": "acme/credit-risk", "ref": "refs/heads/main",
    "repository_owner_id": "9919", "workflow": "train",
}  # fmt: skip


@pytest.fixture(scope="module")
def people() -> Iterator[Issuing]:
    with issuing(rsa_key("people")) as made:
        yield made


@pytest.fixture(scope="module")
def ci() -> Iterator[Issuing]:
    with issuing(rsa_key("ci")) as made:
        yield made


@dataclass(frozen=True)
class World:
    platform: Platform
    services: list[Service]
    client: httpx.AsyncClient
    root: str
    people: Issuing
    ci: Issuing

    async def send(self, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.client.request(method, f"/v1/{path}", json=body, headers={"Authorization": f"Bearer {token}"})

    async def ask_root(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = await self.send(self.root, method, path, body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def account(self, name: str, *roles: str, **more: Any) -> None:
        await self.ask_root("POST", "accounts", {"account": name, "roles": roles, **more})

    async def link(self, account: str, subject: str) -> str:
        body = {"issuer": self.people.url, "subject": subject}
        return str((await self.ask_root("POST", f"accounts/{account}/logins", body))["login"])

    def of(self, subject: str, **claims: Any) -> str:
        return self.people.token(self.platform.clock().timestamp(), sub=subject, **claims)

    def pipeline(self, **claims: Any) -> str:
        return self.ci.token(self.platform.clock().timestamp(), **{**GITHUB, **claims})


@pytest.fixture
async def world(settings: Settings, people: Issuing, ci: Issuing) -> AsyncIterator[World]:
    alone = settings.model_copy(
        update={
            "kafka_bootstrap": "", "oidc_issuer": people.url, "oidc_client_id": "console", "oidc_audience": AUDIENCE,
            "oidc_issuers": ci.url,
        }
    )  # fmt: skip
    async with running(alone, find_services(["ledger", "ingestion", "approval"])) as (platform, services):
        root = await token_of(platform, "root", "admin")
        async with http(platform, services) as client:
            yield World(platform, services, client, root, people, ci)


async def test_a_linked_subject_comes_as_its_account_and_an_unlinked_one_as_nobody(world: World) -> None:
    token = world.of(DANA)
    stranger = await world.send(token, "GET", "whoami")
    assert (stranger.status_code, stranger.json()["type"]) == (403, "urn:hallmark:problem:unknown-login")
    assert stranger.json()["subject"] == DANA
    await world.account("dana", "contributor", person="Dana Example")
    login = await world.link("dana", DANA)
    found = (await world.send(token, "GET", "whoami")).json()
    assert (found["account"], found["name"], found["roles"]) == ("dana", "Dana Example", ["contributor"])
    await world.ask_root("DELETE", f"accounts/dana/logins/{login}")
    assert (await world.send(token, "GET", "whoami")).status_code == 403
    assert (await world.ask_root("GET", "accounts/dana"))["logins"] == []


async def test_a_role_that_is_taken_away_counts_from_the_next_request_without_a_signature_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.account("dana", "contributor")
    await world.link("dana", DANA)
    token = world.of(DANA)
    assert (await world.send(token, "GET", "whoami")).is_success

    def never(*_: object) -> None:
        pytest.fail("a token that was verified is verified again")

    monkeypatch.setattr("registry_core.oidc.verifier._check_signature", never)
    assert (await world.send(token, "GET", "whoami")).is_success
    await world.ask_root("PUT", "accounts/dana/roles", {"roles": []})
    assert (await world.send(token, "GET", "whoami")).status_code == 403


async def test_a_subject_is_one_account_s_alone_and_may_move_once_it_is_unlinked(world: World) -> None:
    await world.account("dana", "viewer")
    await world.account("ben", "viewer")
    login = await world.link("dana", DANA)
    assert await world.link("dana", DANA) == login, "linked again, it is the same"
    body = {"issuer": world.people.url, "subject": DANA}
    taken = await world.send(world.root, "POST", "accounts/ben/logins", body)
    assert taken.status_code == 409
    assert "account unlink dana" in taken.json()["fix"]
    token = world.of(DANA)
    assert (await world.send(token, "GET", "whoami")).json()["account"] == "dana"
    await world.ask_root("DELETE", f"accounts/dana/logins/{login}")
    await world.link("ben", DANA)
    assert (await world.send(token, "GET", "whoami")).json()["account"] == "ben"


async def test_a_subject_that_two_link_at_once_is_one_account_s(world: World) -> None:
    await world.account("ann", "viewer")
    await world.account("dana", "viewer")
    who = Subject(world.people.url, DANA)
    async with Linking.begin(world.platform) as slow:
        ann = await slow.state("ann")
        person = await world.platform.vault.person(slow.connection, ann.person)
        assert person
        assert await slow.before(who) is None
        body = {"issuer": who.issuer, "subject": who.subject}
        other = asyncio.create_task(world.send(world.root, "POST", "accounts/dana/logins", body))
        await until(lambda: _waiting_for_a_lock(world))
        assert await slow.append(ann, person, who, lambda events: [new(event) for event in events])
    assert (await other).status_code == 409
    assert not (await world.ask_root("GET", "accounts/dana"))["logins"]


async def _waiting_for_a_lock(world: World) -> bool:
    return bool(await world.platform.pool.fetchval("select count(*) from pg_locks where not granted"))


async def test_only_administrators_say_who_may_come(world: World) -> None:
    await world.account("mona", "manager")
    await world.link("mona", DANA)
    for path, body in (
        ("accounts/mona/logins", {"issuer": world.people.url, "subject": "other"}),
        ("accounts/mona/workloads", {"issuer": world.ci.url, "claims": {"repository": "acme/x"}}),
    ):
        assert (await world.send(world.of(DANA), "POST", path, body)).status_code == 403


async def test_an_issuer_that_is_not_taken_is_not_linked(world: World) -> None:
    await world.account("dana")
    body = {"issuer": f"{world.people.url}/", "subject": DANA}
    refused = await world.send(world.root, "POST", "accounts/dana/logins", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "/issuer")


async def test_neither_the_log_nor_any_export_holds_the_subject(world: World, owner: asyncpg.Connection) -> None:
    await world.account("dana", "viewer")
    await world.link("dana", DANA)
    bodies = b"".join(bytes(row["body"]) for row in await owner.fetch("select body from log.events"))
    assert b"login-linked" not in bodies
    assert world.people.url.encode() in bodies, "the search finds what is there"
    assert DANA.encode() not in bodies
    rows = str([dict(row) for row in await owner.fetch("select * from privacy.logins")])
    assert DANA not in rows


async def test_erasing_the_person_ends_the_login_and_the_way_to_it(world: World, owner: asyncpg.Connection) -> None:
    await world.account("dana", "viewer", person="Dana Example")
    await world.link("dana", DANA)
    assert (await world.send(world.of(DANA), "GET", "whoami")).is_success
    shown = await world.ask_root("POST", "privacy/persons/show", {"person": "Dana Example"})
    assert DANA in str(shown), "whoever asks what is held is told the subject"
    erasure = {"person": "Dana Example", "confirm": "Dana Example", "reason": "asked for it"}
    await world.ask_root("POST", "privacy/persons/erase", erasure)
    assert (await world.send(world.of(DANA), "GET", "whoami")).status_code == 403
    assert await owner.fetchval("select count(*) from privacy.logins") == 0
    await owner.execute("insert into privacy.logins values ('\\x00', 'l-from-a-backup', 'dana')")
    await schema.install(world.platform.settings.postgres_owner_dsn.get_secret_value())
    assert await owner.fetchval("select count(*) from privacy.logins") == 0, "a restore installs the schema"
    again = await world.send(world.root, "POST", "accounts/dana/logins", {"issuer": world.people.url, "subject": DANA})
    assert again.status_code == 409


async def test_a_pipeline_comes_without_a_secret_as_the_account_its_claims_are_bound_to(world: World) -> None:
    await world.account("ci-credit", "contributor", kind="service")
    claims = {"repository": "acme/credit-risk", "ref": "refs/heads/*"}
    bound = await world.ask_root("POST", "accounts/ci-credit/workloads", {"issuer": world.ci.url, "claims": claims})
    registered = {"ref": "model:credit-risk@1.0.0", "digest": sha256_digest(b"weights")}
    assert (await world.send(world.pipeline(), "POST", "versions", registered)).status_code == 201
    for wrong in (
        {"repository": "evil/credit-risk"}, {"repository": "acme/credit-risk-fork"}, {"ref": "refs/pull/7/merge"},
        {"ref": None}, {"repository": ["acme/credit-risk"]}, {"repository": "ACME/credit-risk"},
    ):  # fmt: skip
        assert (await world.send(world.pipeline(**wrong), "GET", "whoami")).status_code == 403, wrong
    assert (await world.send(world.pipeline(aud="sts.amazonaws.com"), "GET", "whoami")).status_code == 401
    await world.ask_root("DELETE", f"accounts/ci-credit/workloads/{bound['workload']}")
    assert (await world.send(world.pipeline(), "GET", "whoami")).status_code == 403


async def test_whom_no_account_stands_for_is_counted_as_one_whose_token_opens_nothing(world: World) -> None:
    """An issuer that serves everybody signs as many tokens for anybody as they like."""
    answer = await world.send(world.pipeline(repository="evil/repository"), "GET", "whoami")
    assert answer.status_code == 403
    assert answer.headers["ratelimit-policy"].startswith('"failures"')


async def test_claims_that_fit_two_accounts_fit_none(world: World) -> None:
    for name, claims in (("ci-one", {"repository": "acme/credit-risk"}), ("ci-two", {"repository_owner_id": "9919"})):
        await world.account(name, "contributor", kind="service")
        await world.ask_root("POST", f"accounts/{name}/workloads", {"issuer": world.ci.url, "claims": claims})
    refused = await world.send(world.pipeline(), "GET", "whoami")
    assert refused.status_code == 403
    assert "ci-one, ci-two" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "claims"), [("human", {"repository": "acme/x"}), ("service", {"repository": "*"}), ("service", {})]
)
async def test_a_binding_needs_a_service_account_and_a_whole_claim(
    world: World, kind: str, claims: dict[str, str]
) -> None:
    await world.account("someone", kind=kind)
    body = {"issuer": world.ci.url, "claims": claims}
    assert (await world.send(world.root, "POST", "accounts/someone/workloads", body)).status_code in (400, 422)


async def test_a_dead_issuer_stops_no_one_who_is_known_and_readiness_not_at_all(settings: Settings) -> None:
    with issuing(rsa_key("mortal")) as mortal:
        changed = {"kafka_bootstrap": "", "oidc_issuer": mortal.url, "oidc_audience": AUDIENCE}
        alone = settings.model_copy(update=changed)
        async with running(alone, find_services(["ledger", "ingestion"])) as (platform, services):
            root = await token_of(platform, "root", "admin")
            async with http(platform, services) as client:
                world = World(platform, services, client, root, mortal, mortal)
                await world.account("dana", "viewer")
                await world.link("dana", DANA)
                assert (await world.send(world.of(DANA), "GET", "whoami")).is_success
    async with (
        running(alone, find_services(["ingestion"])) as (platform, services),
        http(platform, services) as client,
    ):
        fresh = World(platform, services, client, root, mortal, mortal)
        away = await fresh.send(fresh.of(DANA), "GET", "whoami")
        assert (away.status_code, away.json()["type"]) == (503, "urn:hallmark:problem:issuer-away")
        assert away.headers["retry-after"] == "30"
        assert mortal.url in away.json()["detail"]
        assert (await client.get("/health/ready")).status_code == 200


REF = "prompt:answer@1.0.0"
METADATA = {
    "owner": "rita", "backup_owner": "ben", "escalation": "on-call", "purpose": "answers",
    "allowed_uses": ["support"], "risk_tier": "high", "mitigations": [{"risk": "wrong answers", "control": "samples"}],
}  # fmt: skip


@dataclass(frozen=True)
class Review:
    world: World
    promotion: str

    async def approve(self, subject: str, account: str, role: str) -> httpx.Response:
        """As whoever the issuer says, with a key of the account's own."""
        key, token = Ed25519PrivateKey.generate(), self.world.of(subject)
        public = {"public_key": public_base64(key.public_key()), "purpose": "review"}
        assert (await self.world.send(token, "POST", f"accounts/{account}/signing-keys", public)).is_success
        intent = {"role": role, "outcome": "approve", "comment": "fine"}
        asked = await self.world.send(token, "POST", f"promotions/{self.promotion}/statement", intent)
        told = asked.json()
        envelope = sign(b64decode(told["payload"]), told["payload_type"], key)
        body = {**intent, "envelope": envelope}
        return await self.world.send(token, "POST", f"promotions/{self.promotion}/reviews", body)


async def in_review(world: World) -> Review:
    for name in ("rita", "ben"):
        await world.account(name, "contributor")
    await world.link("rita", "rita-1")
    rita = world.of("rita-1")
    file = File(name="template.txt", digest=sha256_digest(b"template"))
    registered = {"ref": REF, "files": [file.model_dump()], "metadata": METADATA}
    assert (await world.send(rita, "POST", "versions", registered)).status_code == 201
    scan = ArtifactScanned(
        ref=REF, file=file.name, digest=file.digest, scanner="s", verdict="clean", read_completely=True
    )
    clean = [new(event) for event in (ArtifactStored(ref=REF, file=file, uri="file:///x"), scan)]
    await world.platform.store.append(Append(REF, clean))
    asked = await world.send(rita, "POST", "promotions", {"ref": REF, "context": {"business_function": "support"}})
    promotion = str(asked.json()["promotion"])

    async def is_open() -> bool:
        return bool((await world.send(rita, "GET", f"promotions/{promotion}")).json()["status"] == "in_review")

    await until(is_open)
    return Review(world, promotion)


async def test_two_logins_of_one_person_approve_once(world: World) -> None:
    """Two subjects of the issuer, an account each, one human behind both."""
    review = await in_review(world)
    await world.account("dana", "reviewer:product", person="Dana Example")
    await world.account("d-second", "reviewer:security", person="dana  example")
    await world.account("paula", "reviewer:security", person="Paula Else")
    for account, subject in (("dana", "dana-1"), ("d-second", "dana-2"), ("paula", "paula-1")):
        await world.link(account, subject)
    assert (await review.approve("dana-1", "dana", "product")).is_success
    second = await review.approve("dana-2", "d-second", "security")
    assert second.status_code == 403
    assert "the person behind d-second already reviewed" in second.json()["detail"]
    assert (await review.approve("paula-1", "paula", "security")).is_success, "another human may"


async def test_two_logins_linked_to_one_account_approve_once(world: World) -> None:
    review = await in_review(world)
    await world.account("dana", "reviewer:product", "reviewer:security", person="Dana Example")
    for subject in ("dana-1", "dana-2"):
        await world.link("dana", subject)
    assert (await review.approve("dana-1", "dana", "product")).is_success
    assert (await review.approve("dana-2", "dana", "security")).status_code == 403
