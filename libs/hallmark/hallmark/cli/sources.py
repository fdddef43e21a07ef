"""`hallmark source connect|list|show|rotate|credential|disconnect|test|deliveries|delivery|replay|drift`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import Json, client

Name = Annotated[str, typer.Argument(metavar="NAME", help="The source's name.")]
DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id.")]
SecretFile = Annotated[
    str | None,
    typer.Option("--secret-file", metavar="FILE", help="Read the secret there, - is standard input; else one is made."),
]
CredentialFile = Annotated[
    str | None,
    typer.Option(
        "--credential-file", metavar="FILE",
        help="Read there what the source is asked with, `user:password` or a token; - is standard input.",
    ),
]  # fmt: skip
KINDS: Final = "mlflow, huggingface, wandb, sagemaker, github or kserve"


def add_to(app: typer.Typer) -> None:
    sources = base.group("Systems that feed the registry, and what they sent.")
    for name, command in (
        ("connect", connect), ("list", list_sources), ("show", show), ("rotate", rotate), ("credential", credential),
        ("disconnect", disconnect),
        ("test", try_out), ("deliveries", deliveries), ("delivery", delivery), ("replay", replay),
        ("drift", drift),
    ):  # fmt: skip
        sources.command(name)(command)
    app.add_typer(sources, name="source")


def connect(
    name: Name,
    *,
    kind: Annotated[str, typer.Option(autocompletion=completion.one_of(*completion.SOURCES), help=KINDS)],
    account: Annotated[str, typer.Option(help="The service account in whose name its deliveries are taken in.")],
    url: Annotated[str | None, typer.Option(help="Where it is asked what is true, e.g. the MLflow server.")] = None,
    secret_file: SecretFile = None,
    credential_file: CredentialFile = None,
    json: Json = False,
) -> None:
    """Take in what a system sends from now on; shows, this once, its secret and what to do at its side."""
    if {secret_file, credential_file} == {"-"}:
        raise typer.BadParameter("standard input holds one of both; give the other in a file")
    secret, given = _secret(secret_file), _secret(credential_file)
    with client() as hallmark:
        made = hallmark.connect_source(name, kind, account, url=url, secret=secret, credential=given)
    output.show(made, lambda: _instructed(made, f"Connected {name}"))


def list_sources(json: Json = False) -> None:
    """Show every source, when it last sent something, and how its deliveries ended."""
    with client() as hallmark:
        found = hallmark.sources()
    rows = [
        [s["source"], s["kind"], s["account"], _state(s), s["last_delivery_at"], *_counts(s), _polled(s)] for s in found
    ]
    columns = ["SOURCE", "KIND", "ACCOUNT", "STATE", "LAST DELIVERY", "TAKEN", "FAILED", "REFUSED", "LAST POLL"]
    output.show(found, lambda: _listed(found, columns, rows))


def drift(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The source; by default all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """Show what changed at sources without a word, the latest at the end."""
    with client() as hallmark:
        found = hallmark.views("external_drift", {"source": name} if name else None, limit=limit)
    rows = [[row["found_at"], row["ref"] or "", row["sentence"]] for row in found["rows"]]
    output.show(found, lambda: output.table(["FOUND", "VERSION", "WHAT"], rows))


def show(name: Name, json: Json = False) -> None:
    """Show one source, and what to do at its side; the secret is not shown again."""
    with client() as hallmark:
        found = hallmark.source(name)
    output.show(found, lambda: _shown(found))


def rotate(
    name: Name,
    *,
    secret_file: SecretFile = None,
    grace: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="How long the former secret is taken still.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a new secret, shown this once. With --grace 0 the former one is taken no more."""
    with client() as hallmark:
        made = hallmark.rotate_source(name, secret=_secret(secret_file), grace_seconds=grace)
    output.show(made, lambda: _instructed(made, f"{name} has a new secret"))


def credential(
    name: Name,
    *,
    credential_file: CredentialFile = None,
    remove: Annotated[bool, typer.Option("--remove", help="Ask without any from now on.")] = False,
    json: Json = False,
) -> None:
    """Give what a source is asked with, or take it away. It is kept wrapped, and never shown."""
    if (credential_file is None) is not remove:
        raise typer.BadParameter("give --credential-file FILE, or --remove")
    with client() as hallmark:
        done = hallmark.set_source_credential(name, _secret(credential_file))
    output.show(done, lambda: output.say(f"{name} is asked {'without' if remove else 'with the new'} credential"))


def disconnect(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")],
    json: Json = False,
) -> None:
    """Take in nothing more of a source."""
    with client() as hallmark:
        done = hallmark.disconnect_source(name, reason)
    output.show(done, lambda: output.say(f"Disconnected {name}"))


def try_out(
    name: Name,
    *,
    body: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A delivery's body as it was sent, byte for byte.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="Of that delivery; give all of them.")
    ] = None,
    json: Json = False,
) -> None:
    """Have a sample, or a real delivery, proven and read, to no effect; tells which step fails, and why."""
    headers = dict(_header(each) for each in header or ())
    text = body.read_bytes().decode("utf-8", "strict") if body else None
    with client() as hallmark:
        found = hallmark.test_source(name, headers=headers or None, body=text)
    output.show(found, lambda: _steps(found))
    if not found["ok"]:
        raise typer.Exit(base.REFUSED)


def deliveries(
    name: Name,
    *,
    outcome: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.one_of(*completion.OUTCOMES),
            help="waiting, taken, nothing, failed, conflict or refused; by default all.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """Show what a source sent, the newest first."""
    with client() as hallmark:
        found = hallmark.deliveries(name, outcome=outcome, limit=limit)
    rows = [[d["received_at"], d["outcome"], d["id"], _told(d)] for d in found]
    output.show(found, lambda: output.table(["RECEIVED", "OUTCOME", "ID", "WHAT CAME OF IT"], rows))


def delivery(delivery_id: DeliveryId, json: Json = False) -> None:
    """Show one delivery, whole."""
    with client() as hallmark:
        found = hallmark.delivery(delivery_id)
    output.show(found, lambda: output.facts({name: value for name, value in found.items() if name != "body"}))


def replay(delivery_id: DeliveryId, json: Json = False) -> None:
    """Have a delivery handled again, once its cause is mended."""
    with client() as hallmark:
        found = hallmark.replay_delivery(delivery_id)
    output.show(found, lambda: output.say(f"Delivery {delivery_id} is handled again"))


def _secret(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeError) as error:
        raise typer.BadParameter(f"the secret cannot be read: {error}") from None
    return text.strip()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"write a header as 'Name: value', not {text!r}")
    return name.strip(), value.strip()


def _instructed(made: dict[str, Any], done: str) -> None:
    output.say(done)
    _steps_at_the_other_side(made)
    if "secret" in made:
        output.facts({"secret": made["secret"]})
        output.say("It is not shown again.", "yellow")
    output.say(f"Next: hallmark source test {made['source']}")


def _shown(found: dict[str, Any]) -> None:
    names = ("source", "kind", "account", "url", "connected_at", "secret_changed_at", "last_delivery_at", "deliveries",
             "credential_set_at")  # fmt: skip
    poll = found["last_poll"] or {}
    polled = {"last_poll": _polled(found), "last_poll_since": poll.get("outcome_since"), "why": poll.get("reason")}
    output.facts({"state": _state(found), **{name: found[name] for name in names}, **polled})
    _steps_at_the_other_side(found)


def _steps_at_the_other_side(found: dict[str, Any]) -> None:
    output.say("\nAt the other side:")
    for number, step in enumerate(found["steps"], 1):
        output.say(f"  {number}. {step}")
    for what, text in found["paste"].items():
        output.say(f"\n{what}:", "cyan")
        output.say(text)
    output.say("")


def _steps(found: dict[str, Any]) -> None:
    rows = [[s["step"], "ok" if s["ok"] else "failed", s["detail"]] for s in found["steps"]]
    output.table(["STEP", "", "DETAIL"], rows)
    output.say("Nothing came of it: it was a test." if found["ok"] else "It would not have been taken in.")


def _state(source: dict[str, Any]) -> str:
    return "connected" if source["connected"] else "disconnected"


def _polled(source: dict[str, Any]) -> str:
    """When it was asked the last time, and how that ended."""
    poll = source["last_poll"]
    return f"{poll['outcome']} {poll['at']}" if poll else ""


def _listed(found: list[dict[str, Any]], columns: list[str], rows: list[list[Any]]) -> None:
    output.table(columns, rows)
    for source in found:
        if source["connected"] and (poll := source["last_poll"]) and poll["reason"]:
            told = f"{poll['outcome']} since {poll['outcome_since']}: {poll['reason']}"
            output.say(f"! {source['source']} is {told}", "yellow")


def _counts(source: dict[str, Any]) -> list[int]:
    counts = source["deliveries"]
    return [counts.get("taken", 0) + counts.get("nothing", 0), counts.get("failed", 0) + counts.get("conflict", 0),
            counts.get("refused", 0)]  # fmt: skip


def _told(found: dict[str, Any]) -> str:
    return found["reason"] or "; ".join(found["told"])
