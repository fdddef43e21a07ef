"""An installation that sources send to: an administrator beside it, and nobody in particular outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from hallmark_ingestion.accounts import identify_accounts
from registry_core.events import Event, RecordedEvent
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import account_stream
from registry_core.service import Platform, Service
from registry_core.store import ANY, Append
from support import new, until
from support_sources import SECRET, Sent

NOWHERE = "http://127.0.0.1:9"
"""Where nobody answers (discard, RFC 863): what a source is asked is tried again, and nothing is learned."""


@dataclass(frozen=True)
class Inbox:
    """An administrator's client, and a client of nobody's that sends deliveries."""

    admin: httpx.AsyncClient
    outside: httpx.AsyncClient
    platform: Platform
    services: Sequence[Service]

    async def connect(self, kind: str, name: str = "", *, roles: Sequence[str] = ("contributor",), **more: Any) -> str:
        """Connect a source of this kind; its name."""
        name = name or kind
        account = f"{name}-feed"
        events: list[Event] = [
            AccountCreated(account=account, kind="service", person=account),
            RolesChanged(account=account, roles=tuple(roles)),
        ]
        await self.platform.store.append(Append(account_stream(account), [new(event) for event in events], ANY))
        await identify_accounts(self.platform)  # which ingestion does as it starts: now, or at any time
        url = NOWHERE if kind in ("mlflow", "huggingface") else ""
        body = {"name": name, "kind": kind, "account": account, "url": url, "secret": SECRET, **more}
        answer = await self.admin.post("/v1/sources", json=body)
        assert answer.status_code == 201, answer.text
        return name

    async def send(self, name: str, sent: Sent) -> httpx.Response:
        path = f"/v1/sources/{name}/deliveries"
        headers = {key: value.encode("latin-1") for key, value in sent.headers.items()}
        return await self.outside.post(path, content=sent.body, headers=headers)

    async def show(self, delivery: str) -> dict[str, Any]:
        answer = await self.admin.get(f"/v1/deliveries/{delivery}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def settled(self, delivery: str) -> dict[str, Any]:
        """The delivery, once its job has run."""

        async def done() -> dict[str, Any] | None:
            found = await self.show(delivery)
            return found if found["outcome"] != "waiting" else None

        found = await until(done)
        assert found
        return found

    async def deliver(self, name: str, sent: Sent) -> dict[str, Any]:
        """Send one that is taken in, and wait for what comes of it."""
        answer = await self.send(name, sent)
        assert answer.status_code == 202, answer.text
        return await self.settled(answer.json()["delivery"])

    async def listed(self, name: str, **params: str) -> list[dict[str, Any]]:
        answer = await self.admin.get(f"/v1/sources/{name}/deliveries", params=params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def events(self, stream: str) -> list[RecordedEvent]:
        return (await self.platform.store.read_streams([stream]))[stream]
