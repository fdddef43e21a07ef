# Made from aio/api/identities.py by `make sdk`: change it there.
"""Accounts, roles, tokens and signing keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hallmark.session import Session
from hallmark.wire import Document, present, read, segment, write


class Identities(Session):
    def whoami(self) -> Document:
        """The account behind the token, with its roles."""
        return self.ask(read("/v1/whoami"))

    def create_account(
        self,
        account: str,
        *,
        kind: str = "human",
        person: str | None = None,
        display_name: str | None = None,
        roles: Sequence[str] = (),
    ) -> Document:
        """`kind`: human or service. `person`: the human behind it, the same for all accounts of one."""
        body = present(account=account, kind=kind, person=person, display_name=display_name, roles=list(roles))
        return self.ask(write("POST", "/v1/accounts", body))

    def account(self, account: str, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Document:
        """Its person and roles, the ids of its tokens and keys; now, or at times as for `version`."""
        return self.ask(read(f"/v1/accounts/{segment(account)}", as_of=as_of, known_at=known_at))

    def set_roles(self, account: str, roles: Sequence[str]) -> Document:
        """Replace the account's roles: viewer, contributor, reviewer:<role>, manager, admin, auditor."""
        return self.ask(write("PUT", f"/v1/accounts/{segment(account)}/roles", {"roles": list(roles)}))

    def grant_role(self, account: str, role: str, assets: str) -> Document:
        """A role on the assets of a pattern, e.g. `model:credit-*`, beside the account's other roles."""
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/grants", {"role": role, "assets": assets}))

    def withdraw_role(self, account: str, role: str, assets: str) -> Document:
        """End a grant, named as it was granted."""
        path = f"/v1/accounts/{segment(account)}/grants"
        return self.ask(write("DELETE", path, role=role, assets=assets))

    def close_account(self, account: str, reason: str) -> Document:
        """Shut it at once: nothing opens it, and its tokens are gone."""
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/close", {"reason": reason}))

    def reopen_account(self, account: str, reason: str) -> Document:
        """With the roles it had; it needs new tokens."""
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/reopen", {"reason": reason}))

    def issue_token(
        self,
        account: str,
        label: str = "",
        expires_at: datetime | None = None,
        *,
        actions: Sequence[str] | None = None,
        assets: Sequence[str] | None = None,
    ) -> Document:
        """`token` is shown this once; `expires_at` says how long it is good. Narrowed to actions and assets, if named.

        Where the server was lost between issuing and answering, the retry is refused (409) rather than issue two.
        """
        until = expires_at.isoformat() if expires_at else None
        body = present(label=label, expires_at=until, actions=actions, assets=assets)
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/tokens", body))

    def tokens(self, unused_days: int | None = None) -> Document:
        """Every token in force, with its last use; or those that nobody used for so many days."""
        return self.ask(read("/v1/tokens", unused_days=unused_days))

    def revoke_token(self, account: str, token_id: str) -> Document:
        return self.ask(write("DELETE", f"/v1/accounts/{segment(account)}/tokens/{segment(token_id)}"))

    def register_signing_key(self, account: str, public_key: str, purpose: str = "review") -> Document:
        """An Ed25519 public key, base64 of its 32 bytes. `purpose`: review or provenance."""
        body = {"public_key": public_key, "purpose": purpose}
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/signing-keys", body))

    def link_login(self, account: str, issuer: str, subject: str) -> Document:
        """Whoever the issuer says is this subject signs in as this account from now on."""
        body = {"issuer": issuer, "subject": subject}
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/logins", body))

    def unlink_login(self, account: str, login: str) -> Document:
        """Ends the sessions that began with it, too."""
        return self.ask(write("DELETE", f"/v1/accounts/{segment(account)}/logins/{segment(login)}"))

    def bind_workload(self, account: str, issuer: str, claims: Mapping[str, str]) -> Document:
        """Pipelines whose tokens carry all these claims come as this service account.

        A value that ends with `*` stands for all that begin so.
        """
        body = {"issuer": issuer, "claims": dict(claims)}
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/workloads", body))

    def unbind_workload(self, account: str, workload: str) -> Document:
        return self.ask(write("DELETE", f"/v1/accounts/{segment(account)}/workloads/{segment(workload)}"))

    def close_session(self, account: str, session: str) -> Document:
        """Sign somebody out."""
        return self.ask(write("DELETE", f"/v1/accounts/{segment(account)}/sessions/{segment(session)}"))

    def sign_in_at(self) -> Document:
        """Where people sign in: `issuer`, `client_id`, `scopes`. Raises HallmarkError where there is no such place."""
        return self.ask(read("/v1/sign-in"))

    def open_session(self) -> Document:
        """A session in place of the issuer's token that this client carries; its `token` is shown this once."""
        return self.ask(write("POST", "/v1/sessions"))

    def sign_out(self) -> Document:
        """The session that this client carries is over."""
        return self.ask(write("DELETE", "/v1/sessions/current"))
