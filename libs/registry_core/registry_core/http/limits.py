"""How many requests a caller may send: token buckets in the memory of this process.

An account has one, whatever token it uses; a client address one for requests without an account, and a smaller one for
tokens that open nothing. Why not a library: docs/decisions/0032.
"""

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.types import Scope

from registry_core.problems import Problem
from registry_core.settings import Settings

Connection = ASGIConnection[Any, Any, Any, Any]
AT_ONCE: Final = 10
"""Seconds' worth of requests that a bucket holds: what may come at once, after a pause."""
MOST_KEYS: Final = 50_000
"""Buckets that are not full, of each kind; the one used longest ago is forgotten, that is, full again."""
_QUOTA: Final = "hallmark_quota"
"""Where in the request's state the quota of a request is kept, for its answer's headers."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left in a bucket after one was taken out of it, or could not be."""

    policy: bytes
    left: int
    full_in: float
    """Seconds."""
    wait: float = 0.0
    """Seconds until there is one again, where there is none."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4."""
        name, _, _ = self.policy.partition(b";")
        left = b"%b;r=%d;t=%d" % (name, self.left, math.ceil(self.full_in))
        return [(b"ratelimit-policy", self.policy), (b"ratelimit", left)]


class Buckets:
    """One bucket per key, as the time at which it will be full again (GCRA, ITU-T I.371): one number each."""

    def __init__(
        self, name: str, per_second: float, most: int = MOST_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`per_second` 0: nothing is limited."""
        self._interval = 1 / per_second if per_second else 0.0
        self._window = max(AT_ONCE, self._interval)
        self._most, self._clock = most, clock
        self._full_at: dict[str, float] = {}
        self._policy = b'"%b";q=%d;w=%d' % (name.encode(), self.size, math.ceil(self._window))

    @property
    def size(self) -> int:
        """Requests that may come at once."""
        return round(self._window / self._interval) if self._interval else 0

    def take(self, key: str) -> Quota | None:
        """One out of the bucket; None where nothing is limited."""
        if not self._interval:
            return None
        now = self._clock()
        full_at = max(self._full_at.pop(key, now), now)
        wait = full_at + self._interval - now - self._window
        if wait <= 1e-9:  # a tenth is no exact number
            full_at, wait = full_at + self._interval, 0.0
        self._full_at[key] = full_at
        if len(self._full_at) > self._most:
            del self._full_at[next(iter(self._full_at))]
        left = int((self._window - (full_at - now)) / self._interval + 1e-9)
        return Quota(self._policy, left, full_at - now, wait)

    def wait(self, key: str) -> float:
        """Seconds until there is one in the bucket; takes none."""
        if not self._interval or key not in self._full_at:
            return 0.0
        return max(0.0, self._full_at[key] + self._interval - self._clock() - self._window)


class Limits:
    """The buckets of this process. What it refuses it refuses before the database is asked."""

    def __init__(self, settings: Settings) -> None:
        self._accounts = Buckets("account", settings.rate_account)
        self._addresses = Buckets("address", settings.rate_address)
        self._failures = Buckets("failures", settings.rate_failures)
        self._senders: dict[str, None] = {}
        """Names with addresses from which a proof came: as many as buckets, the latest last."""

    def account(self, connection: Connection, account: str) -> None:
        """A request of this account. Raises Problem 429."""
        _spend(connection, self._accounts.take(account), f"{account} sends more requests than it may")

    def stranger(self, connection: Connection, named: str = "") -> None:
        """A request without an account. Raises Problem 429.

        `named`: the part of the path that names a sender with a proof of its own, who may send as much as an account
        once a proof came: by name and address, so that nobody uses up what is another's. Until then anybody may have
        made up the name, and would have a bucket for each.
        """
        if named and (sender := _sender(connection, named)) in self._senders:
            _spend(connection, self._accounts.take(sender), f"{sender} sends more than it may")
            return
        quota = self._addresses.take(address_of(connection))
        _spend(connection, quota, "this address sends more requests without an account than it may")

    def proven(self, connection: Connection, named: str) -> None:
        """The sender of this request has shown its proof."""
        sender = _sender(connection, named)
        self._senders.pop(sender, None)
        self._senders[sender] = None
        if len(self._senders) > MOST_KEYS:
            del self._senders[next(iter(self._senders))]

    def failed(self, connection: Connection) -> None:
        """A token that opened nothing. Raises Problem 429 where there were too many."""
        _spend(connection, self._failures.take(address_of(connection)), _FAILED)

    def check_failures(self, connection: Connection) -> None:
        """Raises Problem 429 for an address that sent too many tokens which open nothing."""
        if wait := self._failures.wait(address_of(connection)):
            raise _too_many(_FAILED, wait)


_FAILED: Final = "this address sent more tokens that open nothing than it may"


def _sender(connection: Connection, named: str) -> str:
    """No account is called so: there is a space in it."""
    return f"{connection.path_params.get(named)} at {address_of(connection)}"


def address_of(connection: Connection) -> str:
    """The client's address, of IPv6 its /64, which is one customer's. Whose word counts for it: `trusted_proxies`.

    An IPv4 address that a proxy writes as IPv6 (`::ffff:192.0.2.1`) is one, and not all of them together.
    """
    host = connection.client.host if connection.client else ""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


def _spend(connection: Connection, quota: Quota | None, detail: str) -> None:
    if quota is None:
        return
    connection.scope["state"][_QUOTA] = quota
    if quota.wait:
        raise _too_many(detail, quota.wait)


def _too_many(detail: str, wait: float) -> Problem:
    seconds = math.ceil(wait)
    return Problem(
        429, "too-many-requests", detail, fix=f"send the request again in {seconds} s; spread many over time",
        headers={"Retry-After": str(seconds)},
    )  # fmt: skip


def quota_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """For the answer to a request that was counted."""
    quota = scope.get("state", {}).get(_QUOTA)
    return quota.headers() if isinstance(quota, Quota) else []
