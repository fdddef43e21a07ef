"""Promotions, reviews, exceptions and policies."""

import binascii
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.canonical import canonical_json, from_base64, parse_json
from registry_core.proofs.dsse import REVIEW, sign
from registry_core.proofs.keys import KeyFileError, load_key

from hallmark import files as local
from hallmark.aio.session import AsyncSession
from hallmark.errors import HallmarkError, WaitTimeoutError
from hallmark.wire import Document, present, read, segment, upload, version_path, write

ENDED: Final = frozenset({"refused", "approved", "rejected"})
"""A promotion that came to its end."""
DECIDED_OR_ASKED: Final = ENDED | {"in_review"}
"""The automated audit is over."""
_POLL_SECONDS: Final = 0.5


class Promotions(AsyncSession):
    async def request_promotion(
        self,
        ref: str,
        context: Mapping[str, str],
        *,
        environment: str = "production",
        expedite: bool = False,
        reason: str | None = None,
    ) -> Document:
        """Ask for approval for a use context: `business_function`, and if need be `data_class` and `region`."""
        body = present(ref=ref, context=dict(context), environment=environment, expedite=expedite, reason=reason)
        return await self.ask(write("POST", "/v1/promotions", body))

    async def promotion(self, promotion: str) -> Document:
        """Where it stands: `status` is requested, audited, in_review, refused, approved or rejected."""
        return await self.ask(read(f"/v1/promotions/{segment(promotion)}"))

    async def wait_promotion(
        self, promotion: str, until: Collection[str] = DECIDED_OR_ASKED, timeout: float = 300.0
    ) -> Document:
        """The promotion once its status is one of `until`, or once it has come to its end, whichever is first.

        Raises WaitTimeoutError after `timeout` seconds.
        """
        deadline = self._retry.clock() + timeout
        while True:
            found = await self.promotion(promotion)
            if found["status"] in until or found["status"] in ENDED:
                return found
            if self._retry.clock() >= deadline:
                raise WaitTimeoutError(f"promotion {promotion} is still {found['status']} after {timeout:g} s")
            await self._retry.sleep(_POLL_SECONDS)

    async def review(
        self,
        promotion: str,
        role: str,
        outcome: str,
        comment: str = "",
        *,
        key: Ed25519PrivateKey | str | Path,
        agree: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> Document:
        """Sign the server's statement of this review and hand it in. `outcome`: approve, reject or remediate.

        What is signed must say what was asked for, else HallmarkError is raised and nothing signed. `agree` is shown
        the statement first; where it answers False, nothing is signed.
        """
        private = _key(key)
        intent = {"role": role, "outcome": outcome, "comment": comment}
        where = f"/v1/promotions/{segment(promotion)}"
        payload = _payload(await self.ask(write("POST", f"{where}/statement", intent)))
        statement = checked_statement(payload, {**intent, "promotion": promotion})
        if agree and not agree(statement):
            raise HallmarkError("Not signed", "the review was not signed", fix="review again when you agree")
        envelope = sign(payload, REVIEW, private)
        return await self.ask(write("POST", f"{where}/reviews", {**intent, "envelope": envelope}))

    async def request_exception(
        self, ref: str, *, rule: str, reason: str, expires_at: datetime, finding: str | None = None
    ) -> Document:
        """Ask for a rule, or one finding under it, not to stand in the version's way until an hour within 90 days."""
        body = present(rule=rule, finding=finding, reason=reason, expires_at=expires_at.isoformat())
        return await self.ask(write("POST", version_path(ref, "exceptions"), body))

    async def grant_exception(self, ref: str, exception: str) -> Document:
        """As a manager who neither asked for it nor registered the version."""
        return await self.ask(write("POST", f"{version_path(ref, 'exceptions')}/{segment(exception)}/grant"))

    async def policy(self, name: str, *, as_of: datetime | None = None, known_at: datetime | None = None) -> str:
        """The document that is active, or was; YAML. Times as for `Versions.version`."""
        return str(await self.send(read(f"/v1/policies/{segment(name)}", as_of=as_of, known_at=known_at)))

    async def policy_activation(
        self, name: str, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Document:
        """Which pack is active, or was: `version`, `digest`, `document`, `activated_by` and when. Times as above."""
        return await self.ask(read(f"/v1/policies/{segment(name)}/activation", as_of=as_of, known_at=known_at))

    async def activate_policy(self, name: str, path_or_bytes: str | Path | bytes) -> Document:
        """Make a YAML pack the active document."""
        body = await anyio.to_thread.run_sync(local.content, path_or_bytes)
        return await self.ask(upload("PUT", f"/v1/policies/{segment(name)}", body, "application/yaml", len(body)))


def checked_statement(payload: bytes, expected: Mapping[str, str]) -> Mapping[str, Any]:
    """The statement, if it is canonical JSON that says what is expected. Raises HallmarkError."""
    try:
        statement = parse_json(payload)
        canonical = canonical_json(statement) == payload
    except (ValueError, TypeError) as error:
        raise _unsafe(f"it is not canonical JSON: {error}") from error
    if not canonical or not isinstance(statement, dict):
        raise _unsafe("it is not a canonical JSON object")
    for name, value in expected.items():
        if statement.get(name) != value:
            raise _unsafe(f"its {name} is {json.dumps(statement.get(name))[:100]}, not {json.dumps(value)}")
    return statement


def _payload(answer: Document) -> bytes:
    if answer.get("payload_type") != REVIEW:
        raise _unsafe(f"its type is {str(answer.get('payload_type'))[:100]!r}")
    try:
        return from_base64(answer["payload"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _unsafe(f"it cannot be read: {error!r}") from error


def _unsafe(why: str) -> HallmarkError:
    return HallmarkError(
        "Not signed", f"the server's statement is not what was asked for: {why}",
        fix="see that the URL is Hallmark's and that client and server are of the same release",
    )  # fmt: skip


def _key(key: Ed25519PrivateKey | str | Path) -> Ed25519PrivateKey:
    if isinstance(key, Ed25519PrivateKey):
        return key
    try:
        return load_key(Path(key))
    except FileNotFoundError as error:
        fix = "make one with `hallmark key generate --register`"
        raise HallmarkError("No key", f"there is no key {key}", fix=fix) from error
    except (KeyFileError, OSError) as error:
        raise HallmarkError(
            "Unusable key", str(error), fix="give --key, or make one with `hallmark key generate`"
        ) from error
