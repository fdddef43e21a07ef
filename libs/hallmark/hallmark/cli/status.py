"""`hallmark status`: one version, one asset with all its versions, or one promotion."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import AsOf, Json, KnownAt, Timeout
from hallmark.cli.promotions import show_promotion

if TYPE_CHECKING:
    from hallmark.client import Client


def add_to(app: typer.Typer) -> None:
    app.command()(status)


def _checked(text: str) -> str:
    if ":" not in text:
        return text
    return base.checked_ref_or_alias(text) if "@" in text else base.checked_asset(text)


def status(
    what: Annotated[
        str,
        typer.Argument(
            metavar="REF|ASSET|PROMOTION",
            parser=_checked,
            autocompletion=completion.anything,
            help="A version (or kind:name@alias), kind:name for all, or a promotion.",
        ),
    ],
    *,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show every change; JSON has a line for each.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            help="Watch until it is this, e.g. approved. Exit code 4: it cannot be any more.",
            autocompletion=completion.one_of(*dict.fromkeys(completion.STATES + completion.STATUSES)),
        ),
    ] = None,
    timeout: Timeout = None,
    at_least: Annotated[int | None, typer.Option(help="With --watch: begin with this log index or later.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For the summary of a pipeline's run.")] = False,
    json: Json = False,
) -> None:
    """Show where a version, an asset or a promotion stands, or where it stood.

    Exit codes with --until: 0 it is, 4 it cannot be any more, 5 not within --timeout, 3 no answer from the server.
    """
    stay = watch or until is not None
    if (as_of or known_at) and (stay or ":" not in what):
        base.fail("a past state is shown of a version or an asset, once", "leave out --watch", base.USAGE)
    if markdown and (stay or json):
        base.fail("Markdown is printed once, by itself", "leave out --watch, --until and --json", base.USAGE)
    if not stay and (timeout is not None or at_least is not None):
        base.fail("there is nothing to wait for", "add --watch or --until", base.USAGE)
    if stay:
        from hallmark.cli.watching import watch as follow  # noqa: PLC0415 - with httpx

        follow(what, _shower(what), until=until, timeout=timeout, at_least=at_least)
        return
    with base.client() as hallmark:
        found = _look(hallmark, what, as_of, known_at)
    output.show(found, lambda: _as_markdown(found) if markdown else _shower(what)(found))


def _as_markdown(found: dict[str, Any]) -> None:
    from hallmark.cli.markdown import summary  # noqa: PLC0415 - only when needed

    typer.echo(summary(found), nl=False)


def _look(
    hallmark: "Client", what: str, as_of: datetime | None = None, known_at: datetime | None = None
) -> dict[str, Any]:
    if ":" not in what:
        return hallmark.promotion(what)
    read = hallmark.version if "@" in what else hallmark.asset
    return read(what, as_of=as_of, known_at=known_at)


def _shower(what: str) -> Callable[[dict[str, Any]], None]:
    return show_version if "@" in what else show_asset if ":" in what else show_promotion


def show_asset(found: dict[str, Any]) -> None:
    """Every version, newest first."""
    output.facts(
        {
            "asset": found["asset"], "newest": found["newest"], "newest approved": found["newest_approved"],
            "owner": found["owner"], "aliases": _aliases(found), "as of": found.get("as_of"),
            "known at": found.get("known_at"),
        }
    )  # fmt: skip
    rows = [[v["ref"], v["state"], v["owner"], v["registered_by"], v["registered_at"]] for v in found["versions"]]
    output.table(["VERSION", "STATE", "OWNER", "REGISTERED BY", "AT"], rows)


def _aliases(found: dict[str, Any]) -> list[str]:
    return [f"{name} is {ref}" for name, ref in sorted(found.get("aliases", {}).items())]


def show_version(found: dict[str, Any]) -> None:
    """State, checks, findings, approvals."""
    metadata = found.get("metadata") or {}
    output.facts(
        {
            "as of": found.get("as_of"), "known at": found.get("known_at"),
            "version": found["ref"], "state": found["state"], "digest": found["digest"], "format": found.get("format"),
            "owner": metadata.get("owner"), "risk tier": metadata.get("risk_tier"),
            "registered by": found.get("registered_by"), "replacement": found.get("replacement"),
            "evidence": sorted({e["evidence_type"] for e in found.get("evidence") or ()}),
            "waiting for": found.get("pending_checks"), "open promotions": found.get("open_promotions"),
        }
    )  # fmt: skip
    if promotions := found.get("promotions"):
        rows = [[p["promotion"], p["status"], p["context"], ", ".join(p["waiting_for"] or ())] for p in promotions]
        output.table(["PROMOTION", "STATUS", "FOR", "WAITING FOR"], rows)
    if checks := list(_checks(found)):
        output.table(["CHECK", "OUTCOME", "DETAIL"], checks)
    if approvals := found.get("approvals"):
        output.table(["APPROVED FOR", "IN", "UNTIL", "ENDED", "IN FORCE"], [_approval(item) for item in approvals])
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
    return [*files, *scans, *_components(found.get("dependencies")), *proven, *suites, *open_ones]


def _components(read: dict[str, Any] | None) -> list[list[object]]:
    """What came of the SBOM: one that cannot be read, or lists nothing, is told here and not first at a promotion."""
    if not read:
        return []
    if problem := read.get("problem"):
        return [["sbom", "fail", problem]]
    outcome = "pass" if read["components"] and not read["vulnerable"] else "review"
    return [["sbom", outcome, f"{read['components']} components, {read['vulnerable']} vulnerable"]]


def _findings(scan: dict[str, Any]) -> str:
    return "; ".join(str(finding["message"]) for finding in scan.get("findings") or [])


def _approval(item: dict[str, Any]) -> list[object]:
    context, in_force = "/".join(map(str, item["context"].values())), "yes" if item.get("in_force") else "no"
    return [context, item["environment"], item["expires_at"], item["ended"], in_force]
