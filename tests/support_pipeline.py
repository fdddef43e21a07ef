"""A whole installation without Kafka, a pipeline's account, a reviewer, and the command line against it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark import AsyncClient, AsyncRetry
from registry_core.proofs.keys import public_base64
from registry_core.service import Platform
from registry_core.settings import Settings
from support import served, token_of

HALLMARK = Path(sys.executable).with_name("hallmark")
SERVICES = ["ledger", "ingestion", "scanner", "approval", "lifecycle", "console"]
REF = "prompt:answer@1.0.0"
METADATA = {
    "owner": "dana", "backup_owner": "ben", "escalation": "on-call", "purpose": "answers",
    "allowed_uses": ["support"], "risk_tier": "low", "mitigations": [{"risk": "wrong answers", "control": "samples"}],
}  # fmt: skip


@dataclass
class Pipeline:
    """Where the pipeline's calls go, and what a reviewer does meanwhile."""

    platform: Platform
    url: str
    token: str
    reviewer: AsyncClient
    folder: Path
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that is the pipeline's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HALLMARK_")}
        return own | {
            "HALLMARK_URL": self.url, "HALLMARK_TOKEN": self.token, "XDG_CONFIG_HOME": str(self.folder / "config"),
            "PATH": f"{HALLMARK.parent}{os.pathsep}{own['PATH']}",
        }  # fmt: skip

    def client(self) -> AsyncClient:
        return AsyncClient(self.url, self.token, retry=AsyncRetry(20))

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            HALLMARK, *arguments, stdout=PIPE, stderr=PIPE, env=self.environment, cwd=self.folder
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        return await ended(await self.start(*arguments))

    async def registered(self, ref: str = REF, **metadata: Any) -> None:
        """A version that is ready for promotion."""
        (self.folder / "template.txt").write_text("Answer politely.")
        async with self.client() as hallmark:
            await hallmark.register_version(
                ref, files=[self.folder / "template.txt"], metadata={**METADATA, **metadata}
            )

    async def promoted(self, ref: str = REF, use: str = "support") -> str:
        """Its promotion, once people are asked or the audit refused it."""
        async with self.client() as hallmark:
            asked = await hallmark.request_promotion(ref, {"business_function": use})
            return str((await hallmark.wait_promotion(asked["promotion"], timeout=60))["promotion"])

    async def review(self, promotion: str, outcome: str = "approve") -> None:
        await self.reviewer.review(promotion, "product", outcome, "read it", key=self.key)


async def ended(process: Process) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that ends."""
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def staffed(platform: Platform, url: str, folder: Path) -> AsyncIterator[Pipeline]:
    """`ci` registers and promotes, `paula` reviews."""
    token = await token_of(platform, "ci", "contributor")
    paula = await token_of(platform, "paula", "reviewer:product")
    async with AsyncClient(url, paula, retry=AsyncRetry(20)) as reviewer:
        place = Pipeline(platform, url, token, reviewer, folder)
        await reviewer.register_signing_key("paula", public_base64(place.key.public_key()), "review")
        yield place


@asynccontextmanager
async def pipeline(settings: Settings, folder: Path) -> AsyncIterator[Pipeline]:
    """An installation with its people."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with served(alone, SERVICES) as (platform, url), staffed(platform, url, folder) as place:
        yield place
