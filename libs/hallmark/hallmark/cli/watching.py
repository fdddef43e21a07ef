"""`hallmark status --watch`: every change as the server tells it, until what is waited for is so or cannot be."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from hallmark.cli import base, output
from hallmark.errors import WaitTimeoutError
from hallmark.until import Verdict, awaitable, verdict
from hallmark.wire import Document

if TYPE_CHECKING:
    from rich.table import Table

_ENDED: Final = ("refused", "approved", "rejected")


def watch(
    what: str, human: Callable[[Document], None], *, until: str | None, timeout: float | None, at_least: int | None
) -> None:
    """Show the standing at once and at every change. Exit codes 4 and 5 where `until` cannot come about, or has not."""
    if until and until not in awaitable(what):
        known = ", ".join(awaitable(what))
        base.fail(
            f"{what} never becomes {until!r}",
            f"wait for one of: {known}" if known else "name one of its versions",
            base.USAGE,
        )
    seen: list[Document] = []
    try:
        with _shown(human) as show:
            asyncio.run(_follow(what, until, timeout, at_least, [seen.append, show]))
    except TimeoutError:
        awaited = f", not {until}," if until else ""
        raise WaitTimeoutError(f"{what} is {_standing(seen[-1])}{awaited} after {timeout:g} s") from None
    if until and verdict(seen[-1], until) == "missed":
        _tell_missed(what, seen[-1], until)


async def _follow(
    what: str,
    until: str | None,
    timeout: float | None,
    at_least: int | None,
    told: Sequence[Callable[[Document], object]],
) -> None:
    """Tell every change. Raises TimeoutError, though not before the first answer, so that there is something to say."""
    begun = asyncio.get_running_loop().time()
    async with (
        asyncio.timeout(None) as limit,
        base.async_client() as hallmark,
        aclosing(hallmark.watch(what, at_least=at_least)) as standing,
    ):
        async for found in standing:
            for tell in told:
                tell(found)
            if _over(found, until):
                return
            limit.reschedule(None if timeout is None else begun + timeout)


def _over(found: Document, until: str | None) -> bool:
    outcome: Verdict = verdict(found, until) if until else "open"
    return outcome != "open" or (until is None and found.get("status") in _ENDED)


def _standing(found: Document) -> str:
    return str(found.get("status") or found.get("state") or "")


def _tell_missed(what: str, found: Document, until: str) -> None:
    last = found["promotions"][-1] if found.get("promotions") else found
    ended = last.get("status", "")
    why = f"its promotion {last['promotion']} was {ended}" if ended in ("refused", "rejected") else _standing(found)
    shown = last.get("promotion") or what
    fix = f"look at why with `hallmark status {shown}`, mend it, and promote again"
    base.fail(f"{what} does not become {until}: {why}", fix, base.MISSED)


@contextmanager
def _shown(human: Callable[[Document], None]) -> Iterator[Callable[[Document], object]]:
    """A line of JSON for machines, a table in place on a terminal, else printed anew."""
    if base.wants_json():
        yield lambda found: output.say(output.as_json(found, indent=None))
    elif not sys.stdout.isatty():
        yield human
    else:
        from rich.live import Live  # noqa: PLC0415 - only for a person

        with Live(auto_refresh=False) as live:
            yield lambda found: live.update(_drawn(found), refresh=True)


def _drawn(found: Document) -> "Table":
    return output.drawn(["WHAT", "STANDS", "DETAIL"], _rows(found))


def _rows(found: Document) -> list[list[object]]:
    if "versions" in found:
        return [[v["ref"], v["state"], v["owner"]] for v in found["versions"]]
    if "state" in found:
        checks = f"waiting for {', '.join(found['pending_checks'])}" if found["pending_checks"] else ""
        return [[found["ref"], found["state"], checks], *map(_promotion, found["promotions"])]
    reviews = [[f"review as {r['role']}", r["outcome"], r["reviewer"]] for r in found["reviews"]]
    return [[f"promotion {found['promotion']}", found["status"], _waiting(found)], *reviews]


def _waiting(found: Document) -> str:
    given = {review["role"] for review in found["reviews"] if review["outcome"] == "approve"}
    missing = [role for role in found["roles"] if role not in given]
    return f"waiting for {', '.join(missing)}" if missing and found["status"] == "in_review" else ""


def _promotion(row: dict[str, Any]) -> list[object]:
    missing = ", ".join(row["waiting_for"] or [])
    return [f"promotion {row['promotion']}", row["status"], f"waiting for {missing}" if missing else ""]
