"""Token buckets: what is let through at once, over time, and how much they remember."""

from hypothesis import given
from hypothesis import strategies as st
from registry_core.http.limits import Buckets


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def let_through(buckets: Buckets, key: str, tries: int) -> int:
    taken = [buckets.take(key) for _ in range(tries)]
    return sum(quota is not None and not quota.wait for quota in taken)


def test_ten_seconds_worth_comes_at_once_and_then_as_many_as_time_brings() -> None:
    clock = Clock()
    buckets = Buckets("account", 5, clock=clock)
    assert let_through(buckets, "a", 100) == 50
    clock.now += 2
    assert let_through(buckets, "a", 100) == 10
    clock.now += 3600
    assert let_through(buckets, "a", 100) == 50


def test_one_caller_takes_nothing_from_another() -> None:
    buckets = Buckets("account", 5, clock=Clock())
    assert let_through(buckets, "a", 100) == let_through(buckets, "b", 100) == 50


def test_zero_is_no_limit() -> None:
    buckets = Buckets("account", 0, clock=Clock())
    assert buckets.take("a") is None
    assert buckets.wait("a") == 0


def test_less_than_one_in_ten_seconds_is_still_one() -> None:
    clock = Clock()
    buckets = Buckets("account", 0.01, clock=clock)
    assert let_through(buckets, "a", 10) == 1
    clock.now += 99
    assert let_through(buckets, "a", 1) == 0
    clock.now += 1
    assert let_through(buckets, "a", 1) == 1


def test_who_waits_as_long_as_told_is_let_through() -> None:
    clock = Clock()
    buckets = Buckets("failures", 3, clock=clock)
    let_through(buckets, "a", 30)
    refused = buckets.take("a")
    assert refused is not None
    assert refused.wait == buckets.wait("a") > 0
    clock.now += refused.wait
    assert buckets.wait("a") < 1e-6
    assert let_through(buckets, "a", 1) == 1


def test_the_headers_tell_policy_and_rest() -> None:
    buckets = Buckets("account", 2, clock=Clock())
    quota = buckets.take("a")
    assert quota is not None
    assert quota.headers() == [
        (b"ratelimit-policy", b'"account";q=20;w=10'), (b"ratelimit", b'"account";r=19;t=1'),
    ]  # fmt: skip


def test_it_remembers_so_many_and_forgets_the_one_used_longest_ago() -> None:
    clock = Clock()
    buckets = Buckets("address", 1, most=3, clock=clock)
    for key in ("a", "b", "c", "a", "d"):
        let_through(buckets, key, 10)
    assert let_through(buckets, "a", 1) == 0
    assert let_through(buckets, "b", 1) == 1
    assert len(buckets._full_at) == 3


@given(
    st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from([0.5, 1.0, 3.0, 7.0]),
)
def test_never_more_than_the_bucket_and_what_time_brings(pauses: list[float], per_second: float) -> None:
    clock = Clock()
    buckets = Buckets("account", per_second, clock=clock)
    begun, through = clock.now, 0
    for pause in pauses:
        clock.now += pause
        through += let_through(buckets, "a", 1)
        assert through <= buckets.size + per_second * (clock.now - begun) + 1e-6
