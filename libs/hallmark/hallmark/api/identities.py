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

    def issue_token(self, account: str, label: str = "", expires_at: datetime | None = None) -> Document:
        """`token` is shown this once.

        Where the server was lost between issuing and answering, the retry is refused (409) rather than issue two.
        """
        body = present(label=label, expires_at=expires_at.isoformat() if expires_at else None)
        return self.ask(write("POST", f"/v1/accounts/{segment(account)}/tokens", body))

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
