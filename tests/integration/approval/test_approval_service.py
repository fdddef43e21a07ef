"""A promotion over HTTP on real PostgreSQL: who may decide, by which key, and about how large a version."""

from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_approval import bootstrap as approval
from hallmark_approval.policy import Facts
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.events import Event
from registry_core.events.evidence import ArtifactScanned
from registry_core.events.promotions import PolicyEvaluated
from registry_core.events.versions import ArtifactStored
from registry_core.proofs.dsse import sign
from registry_core.proofs.keys import public_base64
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import Append
from registry_core.values import File, promotion_stream, sha256_digest
from support import http, new, running, token_of, until

REF, DIGEST = "prompt:answer@1.0.0", sha256_digest(b"template")
METADATA = {
    "owner": "dana", "backup_owner": "ben", "escalation": "on-call", "purpose": "answers",
    "allowed_uses": ["support"], "risk_tier": "high", "mitigations": [{"risk": "wrong answers", "control": "samples"}],
}  # fmt: skip
ROLES = {"dana": ["contributor"], "ben": ["contributor", "reviewer:product"], "mona": ["manager"], "root": ["admin"]}


@dataclass(frozen=True)
class World:
    client: httpx.AsyncClient
    platform: Platform
    tokens: dict[str, str]

    async def send(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.client.request(method, f"/v1/{path}", json=body, headers=headers)

    async def given(self, stream: str, *events: Event) -> None:
        await self.platform.store.append(Append(stream, [new(event) for event in events]))

    async def in_review(self, *files: File) -> str:
        """The promotion of a clean version by dana, backup owner ben, once its reviewers are asked."""
        registered = {"ref": REF, "files": [f.model_dump() for f in files], "metadata": METADATA}
        assert (await self.send("dana", "POST", "versions", registered)).status_code == 201
        for file in files:
            scan = ArtifactScanned(
                ref=REF, file=file.name, digest=file.digest, scanner="s", verdict="clean", read_completely=True
            )
            await self.given(REF, ArtifactStored(ref=REF, file=file, uri="file:///x"), scan)
        asked = {"ref": REF, "context": {"business_function": "support"}}
        promotion = str((await self.send("dana", "POST", "promotions", asked)).json()["promotion"])
        await until(lambda: self.reaches(promotion, "in_review"))
        return promotion

    async def reaches(self, promotion: str, status: str) -> bool:
        return bool((await self.send("dana", "GET", f"promotions/{promotion}")).json()["status"] == status)

    async def review(self, who: str, promotion: str, role: str, key: Ed25519PrivateKey) -> httpx.Response:
        intent = {"role": role, "outcome": "approve", "comment": "fine"}
        told = (await self.send(who, "POST", f"promotions/{promotion}/statement", intent)).json()
        envelope = sign(b64decode(told["payload"]), told["payload_type"], key)
        return await self.send(who, "POST", f"promotions/{promotion}/reviews", {**intent, "envelope": envelope})


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build, approval.build]) as (platform, services):
        tokens = {name: await token_of(platform, name, *roles) for name, roles in ROLES.items()}
        async with http(platform, services) as client:
            yield World(client, platform, tokens)


async def test_whoever_lowers_the_risk_tier_approves_nothing_alone(world: World) -> None:
    promotion = await world.in_review(File(name="template.txt", digest=DIGEST))
    lowered = await world.send("ben", "PATCH", f"versions/{REF}/metadata", {"risk_tier": "low"})
    assert lowered.status_code == 200

    async def audits() -> bool:
        (events,) = (await world.platform.store.read_streams([promotion_stream(promotion)])).values()
        return len([event for event in events if event.model is PolicyEvaluated]) == 2

    await until(audits)
    key = Ed25519PrivateKey.generate()
    answer = await world.review("ben", promotion, "product", key)
    assert answer.status_code == 403
    assert "ben amended the metadata" in answer.json()["detail"]
    found = (await world.send("dana", "GET", f"promotions/{promotion}")).json()
    assert (found["status"], set(found["roles"])) == ("in_review", {"platform", "product", "security"})


async def test_a_key_and_a_role_given_just_before_the_review_count(world: World) -> None:
    promotion = await world.in_review(File(name="template.txt", digest=DIGEST))
    world.tokens["sam"] = await token_of(world.platform, "sam", "reviewer:product")
    assert (await world.send("sam", "GET", "whoami")).status_code == 200  # from here on the account is remembered
    key = Ed25519PrivateKey.generate()
    public = {"public_key": public_base64(key.public_key()), "purpose": "review"}
    assert (await world.send("sam", "POST", "accounts/sam/signing-keys", public)).is_success
    roles = {"roles": ["reviewer:security"]}
    assert (await world.send("root", "PUT", "accounts/sam/roles", roles)).is_success
    assert (await world.review("sam", promotion, "product", key)).status_code == 403
    assert (await world.review("sam", promotion, "security", key)).is_success


async def test_a_manager_with_a_part_in_the_version_grants_no_exception(world: World) -> None:
    await world.in_review(File(name="template.txt", digest=DIGEST))
    expires = world.platform.clock() + timedelta(days=7)
    wanted = {"rule": "scan-clean", "reason": "known", "expires_at": expires.isoformat()}
    asked = await world.send("dana", "POST", f"versions/{REF}/exceptions", wanted)
    path = f"versions/{REF}/exceptions/{asked.json()['exception']}/grant"
    assert (await world.send("mona", "PATCH", f"versions/{REF}/metadata", {"escalation": "desk"})).status_code == 200
    refused = await world.send("mona", "POST", path)
    assert (refused.status_code, refused.json()["detail"]) == (403, "mona amended the metadata")
    world.tokens["max"] = await token_of(world.platform, "max", "manager")
    assert (await world.send("max", "POST", path)).is_success


async def test_facts_too_large_for_an_event_are_kept_by_digest(world: World) -> None:
    files = [File(name=f"{n:03}-{'n' * 240}", digest=DIGEST) for n in range(200)]
    promotion = await world.in_review(*files)
    (events,) = (await world.platform.store.read_streams([promotion_stream(promotion)])).values()
    (audit,) = [event.data for event in events if isinstance(event.data, PolicyEvaluated)]
    assert audit.facts_digest
    facts = Facts.model_validate_json(await world.platform.objects.get(audit.facts_digest))
    assert [file.name for file in facts.version.files] == [file.name for file in files]
