"""`hallmark promote`, `hallmark exception request|grant`."""

from datetime import datetime
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json, Ref, Timeout, moment


def add_to(app: typer.Typer) -> None:
    app.command()(promote)
    exception = base.group("Departures from a rule, asked for, granted and ending by themselves.")
    exception.command("request")(request_exception)
    exception.command("grant")(grant_exception)
    app.add_typer(exception, name="exception")


def promote(
    ref: Ref,
    *,
    business_function: Annotated[str, typer.Option("--for", help="Business function, e.g. credit-scoring.")],
    data_class: Annotated[str, typer.Option(help="E.g. public, internal, personal.")] = "internal",
    region: Annotated[str, typer.Option(help="Where it may serve.")] = "any",
    environment: Annotated[str, typer.Option(help="Where it is to be deployed.")] = "production",
    expedite: Annotated[bool, typer.Option("--expedite", help="Reviewers see it first.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, e.g. why now.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the audit is over; exit code 1 if it refused.")] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Ask for a version to be approved for a use context."""
    context = {"business_function": business_function, "data_class": data_class, "region": region}
    with base.client() as hallmark:
        written = hallmark.request_promotion(ref, context, environment=environment, expedite=expedite, reason=reason)
        if not wait:
            output.show(written, lambda: _requested(written))
            return
        with output.waiting(f"the audit of {ref}"):
            found = hallmark.wait_promotion(written["promotion"], timeout=300.0 if timeout is None else timeout)
    output.show(found, lambda: show_promotion(found))
    raise typer.Exit(base.REFUSED if found["status"] in ("refused", "rejected") else 0)


def _requested(written: dict[str, Any]) -> None:
    output.say(f"Requested promotion {written['promotion']}")
    output.say(f"Next: hallmark status {written['promotion']} --watch")


def show_promotion(found: dict[str, Any]) -> None:
    """Where it stands, what stood in its way, who has been asked."""
    context = found.get("context") or {}
    output.facts(
        {
            "promotion": found["promotion"], "version": found["ref"], "status": found["status"],
            "for": "/".join(map(str, context.values())), "environment": found.get("environment"),
            "policy": found.get("policy"), "reviews by": found.get("roles"), "approved until": found.get("expires_at"),
        }
    )  # fmt: skip
    if found.get("reviews"):
        output.table(
            ["ROLE", "REVIEWER", "OUTCOME"], [[r["role"], r["reviewer"], r["outcome"]] for r in found["reviews"]]
        )
    if failed := [r for r in found.get("results") or found.get("reasons") or [] if r["outcome"] != "pass"]:
        _show_rules(failed)


def _show_rules(results: list[dict[str, Any]]) -> None:
    for rule in results:
        output.say(f"\n{rule['rule']}: {rule['title']}", "red" if rule["outcome"] in ("fail", "error") else "yellow")
        output.facts(
            {
                "  outcome": f"{rule['outcome']} ({rule['mode']})",
                "  detail": rule.get("detail"),
                "  evidence": rule.get("evidence"),
                "  owner": rule.get("owner"),
                "  fix": rule.get("fix"),
            }
        )


def request_exception(
    ref: Ref,
    *,
    rule: Annotated[str, typer.Option(help="The rule that is in the way.")],
    reason: Annotated[str, typer.Option(help="Why it is right all the same.")],
    expires: Annotated[
        datetime, typer.Option(parser=moment, metavar="TIME", help="E.g. 30d, or 2026-12-01; at most 90 days ahead.")
    ],
    finding: Annotated[str | None, typer.Option(help="Only for this finding of the rule.")] = None,
    json: Json = False,
) -> None:
    """Ask for a rule not to stand in a version's way for a while."""
    with base.client() as hallmark:
        written = hallmark.request_exception(ref, rule=rule, reason=reason, expires_at=expires, finding=finding)
    output.show(written, lambda: _exception_requested(ref, written))


def _exception_requested(ref: str, written: dict[str, Any]) -> None:
    output.say(f"Requested exception {written['exception']}")
    output.say(f"Next, a manager: hallmark exception grant {ref} {written['exception']}")


def grant_exception(ref: Ref, exception: Annotated[str, typer.Argument(help="Its id.")], json: Json = False) -> None:
    """Grant an exception, as a manager who neither asked for it nor registered the version."""
    with base.client() as hallmark:
        written = hallmark.grant_exception(ref, exception)
    output.show(written, lambda: output.say(f"Granted exception {exception}"))
