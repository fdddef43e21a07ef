"""`hallmark status`: one version or one promotion."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json
from hallmark.cli.promotions import show_promotion

if TYPE_CHECKING:
    from hallmark.client import Client

_POLL_SECONDS: Final = 1.0


def add_to(app: typer.Typer) -> None:
    app.command()(status)


def _checked(text: str) -> str:
    return base.checked_ref(text) if ":" in text else text


def status(
    what: Annotated[
        str, typer.Argument(metavar="REF|PROMOTION", parser=_checked, help="A version, or a promotion's id.")
    ],
    watch: Annotated[
        bool, typer.Option("--watch", help="Print anew at every change, until Ctrl-C or the end.")
    ] = False,
    json: Json = False,
) -> None:
    """Show where a version or a promotion stands."""
    with base.client() as hallmark:
        found = _look(hallmark, what)
        _show(what, found)
        while watch and found.get("status") not in ("refused", "approved", "rejected"):
            time.sleep(_POLL_SECONDS)
            before, found = found, _look(hallmark, what)
            if found != before:
                output.say("")
                _show(what, found)


def _look(hallmark: "Client", what: str) -> dict[str, Any]:
    return hallmark.version(what) if ":" in what else hallmark.promotion(what)


def _show(what: str, found: dict[str, Any]) -> None:
    output.show(found, lambda: show_version(found) if ":" in what else show_promotion(found))


def show_version(found: dict[str, Any]) -> None:
    """State, checks, findings, approvals."""
    metadata = found.get("metadata") or {}
    output.facts(
        {
            "version": found["ref"], "state": found["state"], "digest": found["digest"], "format": found.get("format"),
            "owner": metadata.get("owner"), "risk tier": metadata.get("risk_tier"),
            "registered by": found.get("registered_by"), "replacement": found.get("replacement"),
            "waiting for": found.get("pending_checks"), "open promotions": found.get("open_promotions"),
        }
    )  # fmt: skip
    if checks := list(_checks(found)):
        output.table(["CHECK", "OUTCOME", "DETAIL"], checks)
    if approvals := found.get("approvals"):
        output.table(["APPROVED FOR", "IN", "UNTIL", "ENDED"], [_approval(item) for item in approvals])
    if clocks := found.get("clocks"):
        output.table(["REMEDIATE", "OWNER", "DUE"], [[c["finding"], c["owner"], c["due"]] for c in clocks])


def _checks(found: dict[str, Any]) -> list[list[object]]:
    files = [[f"file {f['name']}", "ok" if f.get("uri") else "open", f.get("digest")] for f in found.get("files") or []]
    scans = [[f"scan {s['file']}", s["verdict"], _findings(s)] for s in found.get("scans") or []]
    suites = [
        [f"evaluation {e['suite']}", "pass" if e["passed"] else "fail", e.get("problem")]
        for e in found.get("evaluations") or []
    ]
    provenance = found.get("provenance")
    proven = (
        [["provenance", "pass" if provenance["verified"] else "fail", provenance.get("problem")]] if provenance else []
    )
    open_ones = [
        ["vulnerability", v["severity"], f"{v['advisory']} in {v['component']}"]
        for v in found.get("vulnerabilities") or []
    ]
    return [*files, *scans, *proven, *suites, *open_ones]


def _findings(scan: dict[str, Any]) -> str:
    return "; ".join(str(finding["message"]) for finding in scan.get("findings") or [])


def _approval(item: dict[str, Any]) -> list[object]:
    return ["/".join(map(str, item["context"].values())), item["environment"], item["expires_at"], item["ended"]]
