"""Sessions of people who signed in at an issuer: opened, closed and kept as events of their account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from registry_core.events import Event, NewEvent, Origin
from registry_core.events.logins import SessionClosed
from registry_core.identity import BearerToken, account_stream, new_session
from registry_core.oidc.config import SignIn
from registry_core.oidc.federation import Federation
from registry_core.oidc.provisioning import person_at_sign_in
from registry_core.oidc.verifier import Identity
from registry_core.service import Platform
from registry_core.store.model import ANY, Append
from registry_core.telemetry import current_traceparent


@dataclass(frozen=True, slots=True)
class Opened:
    account: str
    token: str
    """Shown this once."""
    expires_at: datetime


async def open_session(
    platform: Platform, federation: Federation, sign_in: SignIn, identity: Identity
) -> Opened | None:
    """A session for whom the issuer vouches for; None for somebody whom no account stands for. Raises Problem."""
    if identity.issuer != sign_in.issuer:
        return None
    way = await person_at_sign_in(platform, federation, sign_in, identity)
    if way is None:
        return None
    account, expires = way.account.account, platform.clock() + sign_in.session
    token, opened = new_session(account, way.by, expires)
    await _append(platform, account, [opened])
    return Opened(account, token, expires)


async def close_session(platform: Platform, federation: Federation, text: str) -> bool:
    """Sign out whoever holds the session's token; False where it was no session in force."""
    token = BearerToken.parse(text)
    if token is None or not token.session:
        return False
    account = await federation.state(token.account)
    if not account.accepts(token, platform.clock()):
        return False
    await _append(platform, token.account, [SessionClosed(account=token.account, session=token.token_id)])
    return True


async def _append(platform: Platform, account: str, events: Sequence[Event]) -> None:
    seed = uuid4()
    origin = Origin(actor=account, occurred_at=platform.clock(), correlation_id=seed, traceparent=current_traceparent())
    new = [NewEvent(id=uuid4(), data=event, origin=origin) for event in events]
    await platform.store.append(Append(account_stream(account), new, ANY))
