"""Who somebody is that signed in: the account linked to them, or, where the settings say so, one made just now.

An account that was made so has the roles that the issuer's claim says, at each sign-in anew.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import Account, account_stream
from registry_core.oidc.config import SignIn
from registry_core.oidc.federation import Federation, Way
from registry_core.oidc.linking import Linking, Made, Subject
from registry_core.oidc.verifier import Identity
from registry_core.problems import conflict, forbidden
from registry_core.service import Platform
from registry_core.store.model import Append, Conflict
from registry_core.telemetry import current_traceparent

ACTOR: Final = "service:console"
ATTEMPTS: Final = 20
LONGEST_NAME: Final = 128


def roles_of(claims: Mapping[str, Any], sign_in: SignIn) -> tuple[str, ...]:
    """Ours for those that the claim names; a claim within another is named `outer.inner`. None of them: none."""
    found: Any = claims.get(sign_in.roles_claim)
    if found is None:
        found = claims
        for name in sign_in.roles_claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    theirs = found if isinstance(found, list) else [found]
    return tuple(sorted({sign_in.roles[each] for each in theirs if isinstance(each, str) and each in sign_in.roles}))


async def person_at_sign_in(
    platform: Platform, federation: Federation, sign_in: SignIn, identity: Identity
) -> Way | None:
    """None for a stranger who is to stay one. Raises Problem."""
    for _ in range(ATTEMPTS):
        way = await federation.login(identity)
        if way is None and not (sign_in.roles_claim and roles_of(identity.claims, sign_in)):
            return None
        if way is None:
            await _create(platform, sign_in, identity)
        elif not way.account.logins[way.by].roles_follow or await _follow(platform, sign_in, identity, way.account):
            return way
    raise conflict("the account changed all the while", "sign in again")


async def _create(platform: Platform, sign_in: SignIn, identity: Identity) -> None:
    """An account whose id says nothing, unless another request was faster."""
    claims, account = identity.claims, f"u-{secrets.token_hex(8)}"
    name = _text(claims, "email") if claims.get("email_verified") is True else ""
    shown = _text(claims, "name") or _text(claims, "preferred_username") or _text(claims, "email") or account
    async with Linking.begin(platform) as linking:
        person = await platform.vault.identify(
            linking.connection, name or f"{identity.issuer} {identity.subject}", account
        )
        who = Subject(identity.issuer, identity.subject, roles_follow=True)
        if linked := await linking.before(who):
            await _check_open(linking, linked.account)
            return
        created = AccountCreated(
            account=account, kind="human", person=person.pseudonym,
            name=person.seal(name or identity.subject[:LONGEST_NAME]), display_name=person.seal(shown),
        )  # fmt: skip
        roles = RolesChanged(account=account, roles=roles_of(claims, sign_in))
        await linking.append(Account(account=account), person, who, _made(platform, account), created, roles)
    platform.store.on_append()


async def _check_open(linking: Linking, account: str) -> None:
    """Whoever is linked to a closed account gets no other one beside it. Raises Problem 403."""
    if (await linking.state(account)).closed:
        raise forbidden(f"the account {account} is closed", "ask an administrator to open it again")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value.replace("\0", "").strip()[:LONGEST_NAME] if isinstance(value, str) else ""


async def _follow(platform: Platform, sign_in: SignIn, identity: Identity, account: Account) -> bool:
    """Give the account the roles that the claim says now; False where it changed meanwhile."""
    wanted = roles_of(identity.claims, sign_in) if sign_in.roles_claim else ()
    if frozenset(wanted) == account.roles:
        return True
    events = _made(platform, account.account)([RolesChanged(account=account.account, roles=wanted)])
    (result,) = await platform.store.append(Append(account_stream(account.account), events, account.version))
    return not isinstance(result, Conflict)


def _made(platform: Platform, account: str) -> Made:
    seed: UUID = uuid4()
    origin = Origin(actor=ACTOR, occurred_at=platform.clock(), correlation_id=seed, traceparent=current_traceparent())

    def made(events: Sequence[Event]) -> list[NewEvent]:
        stream = account_stream(account)
        return [NewEvent(id=derived_id(seed, stream, n), data=event, origin=origin) for n, event in enumerate(events)]

    return made
