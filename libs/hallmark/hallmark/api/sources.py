# Made from aio/api/sources.py by `make sdk`: change it there.
"""Systems that feed the registry, and what they sent."""

from collections.abc import Mapping
from typing import Any

from hallmark.session import Session
from hallmark.wire import Document, present, read, segment, write


class Sources(Session):
    def connect_source(
        self,
        name: str,
        kind: str,
        account: str,
        *,
        url: str | None = None,
        secret: str | None = None,
        credential: str | None = None,
    ) -> Document:
        """Take in what a system sends from now on, in the name of a service account.

        The answer has the secret, this once, and what to do at the other side: `webhook_url`, `steps`, `paste`.
        Connecting again changes account and url; the secret stays, unless one is given. `credential` is what the
        source is asked with at `url`: `user:password`, or a token.
        """
        body = present(name=name, kind=kind, account=account, url=url, secret=secret, credential=credential)
        return self.ask(write("POST", "/v1/sources", body))

    def sources(self) -> list[Any]:
        """Every source, with when it last sent something, how its deliveries ended, and what the last poll met."""
        return list(self.send(read("/v1/sources")))

    def source(self, name: str) -> Document:
        """One source, with what to do at its side; its secret is not shown again."""
        return self.ask(read(_path(name)))

    def rotate_source(self, name: str, *, secret: str | None = None, grace_seconds: float | None = None) -> Document:
        """A new secret, shown this once; the former is taken for `grace_seconds` still (default: a setting's)."""
        return self.ask(write("POST", _path(name, "rotate"), present(secret=secret, grace_seconds=grace_seconds)))

    def set_source_credential(self, name: str, credential: str | None) -> Document:
        """What the source is asked with from now on: `user:password`, or a token; None takes it away."""
        return self.ask(write("PUT", _path(name, "credential"), {"credential": credential}))

    def disconnect_source(self, name: str, reason: str) -> Document:
        """Take in nothing more of it."""
        return self.ask(write("POST", _path(name, "disconnect"), {"reason": reason}))

    def test_source(self, name: str, *, headers: Mapping[str, str] | None = None, body: str | None = None) -> Document:
        """Have a sample, or a delivery as it was seen elsewhere, proven and read: each step, and to no effect."""
        return self.ask(write("POST", _path(name, "test"), present(headers=headers and dict(headers), body=body)))

    def deliveries(self, source: str, *, outcome: str | None = None, limit: int | None = None) -> list[Any]:
        """What it sent, newest first. `outcome`: waiting, taken, nothing, failed, conflict or refused."""
        return list(self.send(read(_path(source, "deliveries"), outcome=outcome, limit=limit)))

    def delivery(self, delivery: str) -> Document:
        """One delivery, whole: headers without secrets, `body` in base64, and as `text`."""
        return self.ask(read(f"/v1/deliveries/{segment(delivery)}"))

    def replay_delivery(self, delivery: str) -> Document:
        """Have it handled again; what it brought about before is not brought about twice."""
        return self.ask(write("POST", f"/v1/deliveries/{segment(delivery)}/replay"))


def _path(name: str, *more: str) -> str:
    return "/".join(["/v1/sources", segment(name), *more])
