"""What of the portfolio wants attention: pure functions over rows of `version_overview`, each with `unowned`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from registry_core.projections import Row

from hallmark_console.rendering import moment

EXPIRES_SOON: Final = timedelta(days=14)
IN_SERVICE: Final = frozenset({"approved", "deprecated"})
Urgency = Literal["high", "medium"]


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that somebody has to do."""

    ref: str
    urgency: Urgency
    kind: str
    text: str
    at: str | None = None
    """When it becomes due, if it does."""
    who: str | None = None


def attention(rows: Iterable[Row], now: datetime) -> list[Attention]:
    """What to do, most urgent and soonest first."""
    found = [item for row in rows for item in _of(row, now)]
    return sorted(found, key=lambda item: (item.urgency != "high", item.at or "", item.ref))


def _of(row: Row, now: datetime) -> list[Attention]:
    items = [_clock(row, clock, now) for clock in row["clocks"]]
    if row["scan_verdict"] == "malicious":
        items.append(Attention(row["ref"], "high", "Malicious file", "A scan found code that attacks whoever loads it"))
    if row["open_critical"]:
        count = row["open_critical"]
        text = f"{count} critical vulnerabilit{'y' if count == 1 else 'ies'} open"
        items.append(Attention(row["ref"], "high", "Vulnerable", text, who=row["owner"]))
    if row["state"] in IN_SERVICE and row["unowned"]:
        items.append(Attention(row["ref"], "medium", "Unowned", _unowned(row)))
    return items + [_expiring(row, a) for a in row["approvals"] if _soon(a, now)]


def _unowned(row: Row) -> str:
    left = [account for account in (row["owner"], row["backup_owner"]) if account]
    return f"{' and '.join(left) or 'Nobody'} {'left' if left else 'answers for it'}: name an owner"


def _clock(row: Row, clock: dict[str, Any], now: datetime) -> Attention:
    due = moment(clock["due"])
    urgency: Urgency = "high" if due is None or due - now < timedelta(days=2) else "medium"
    return Attention(row["ref"], urgency, "Clock running", f"Mend {clock['finding']}", clock["due"], clock["owner"])


def _soon(approval: dict[str, Any], now: datetime) -> bool:
    expires = moment(approval["expires_at"])
    return expires is not None and expires - now < EXPIRES_SOON


def _expiring(row: Row, approval: dict[str, Any]) -> Attention:
    text = f"Approval for {approval['context']} in {approval['environment']}: request it anew"
    return Attention(row["ref"], "medium", "Approval expires", text, approval["expires_at"], row["owner"])
