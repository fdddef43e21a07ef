"""A version whose last reachable owner has left wants a new one."""

import httpx
from registry_core.events import Event
from registry_core.events.governance import AccountClosed, AccountReopened
from registry_core.events.lifecycle import VersionDeprecated
from support_console import Console, add_account, append
from support_portfolio import registered

REF = "model:orphan@1.0.0"


async def test_a_version_is_unowned_once_all_who_answer_for_it_have_left(served: Console) -> None:
    platform = served.platform
    token = await add_account(platform, "maria", "viewer")
    for account in ("olga", "bert"):
        await add_account(platform, account, "contributor")
    named = registered(REF, owner="olga", backup_owner="bert")
    await append(platform, REF, named, VersionDeprecated(ref=REF, cause="old"))
    async with httpx.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {token}"}) as http:

        async def wanted_after(account: str, event: Event) -> bool:
            at_least = await append(platform, f"account:{account}", event)
            for view in ("accounts", "version_overview"):
                params = {"at_least": at_least, "timeout": 30, "limit": 1}
                assert (await http.get(f"/v1/views/{view}", params=params, timeout=40)).status_code == 200
            return "olga and bert left: name an owner" in (await http.get("/")).text

        assert not await wanted_after("olga", AccountClosed(account="olga", reason="left"))
        assert await wanted_after("bert", AccountClosed(account="bert", reason="left"))
        assert not await wanted_after("olga", AccountReopened(account="olga", reason="came back"))
