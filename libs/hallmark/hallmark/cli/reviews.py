"""`hallmark review approve|reject|remediate`, `hallmark key generate|register`."""

import json as json_format
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import Json

Promotion = Annotated[
    str, typer.Argument(metavar="PROMOTION", autocompletion=completion.promotions, help="The promotion's id.")
]
Role = Annotated[str, typer.Option(help="The role you review in, e.g. security.")]
Key = Annotated[Path | None, typer.Option("--key", help="Your review key; by default the one `key generate` made.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Sign without being asked.")]
Purpose = Annotated[
    str, typer.Option(autocompletion=completion.one_of("review", "provenance"), help="review or provenance.")
]


def add_to(app: typer.Typer) -> None:
    review = base.group("Signed reviews of a promotion.")
    for outcome, about in (
        ("approve", "Approve a promotion in a role."),
        ("reject", "End a promotion; say why."),
        ("remediate", "Ask for something to be mended first; say what."),
    ):
        review.command(outcome, help=about)(_reviewing(outcome))
    app.add_typer(review, name="review")
    key = base.group("The key you sign reviews with.")
    key.command("generate")(generate)
    key.command("register")(register)
    app.add_typer(key, name="key")


def _reviewing(outcome: str) -> Callable[..., None]:
    needs_comment = outcome != "approve"

    def review(
        promotion: Promotion,
        *,
        role: Role,
        comment: Annotated[str, typer.Option(help="What you looked at, what has to change.")] = "",
        key: Key = None,
        yes: Yes = False,
        json: Json = False,
    ) -> None:
        if needs_comment and not comment.strip():
            base.fail(f"to {outcome} takes a reason", "give --comment", base.USAGE)
        with base.client() as hallmark:
            written = hallmark.review(
                promotion, role, outcome, comment, key=key or default_key(), agree=None if yes else _agree
            )
        output.show(written, lambda: output.say(f"Recorded; the promotion is {written['status']}"))

    return review


def _agree(statement: Mapping[str, Any]) -> bool:
    """Show what is about to be signed. Where nobody watches, `--yes` says so beforehand."""
    if not sys.stdin.isatty():
        base.fail("nobody is there to agree to what is signed", "give --yes", base.USAGE)
    typer.echo(output.plain(json_format.dumps(statement, indent=2)), err=True)
    return typer.confirm("Sign this?", err=True)


def default_key() -> Path:
    from hallmark.credentials import config_folder  # noqa: PLC0415 - only when needed

    return config_folder() / "review.pem"


def generate(
    path: Annotated[Path | None, typer.Argument(help="Where; by default in the configuration folder.")] = None,
    purpose: Purpose = "review",
    register: Annotated[
        bool, typer.Option("--register", help="Make it known to the server as your account's.")
    ] = False,
    json: Json = False,
) -> None:
    """Make an Ed25519 key that only you can read."""
    from registry_core.proofs.keys import generate_key, key_id, public_base64  # noqa: PLC0415 - only when needed

    where = path or default_key()
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = generate_key(where).public_key()
    made = {"path": str(where), "key_id": key_id(public), "public_key": public_base64(public)}
    if register:
        with base.client() as hallmark:
            hallmark.register_signing_key(hallmark.whoami()["account"], made["public_key"], purpose)
    output.show(made, lambda: _generated(made, register, path))


def _generated(made: dict[str, str], registered: bool, path: Path | None) -> None:
    output.facts(made)
    if not registered:
        output.say(f"Next: hallmark key register{f' --key {path}' if path else ''}")


def register(
    account: Annotated[str | None, typer.Argument(help="Whose; by default your own.")] = None,
    public_key: Annotated[str | None, typer.Option(help="Base64 of the 32 bytes; by default your key's.")] = None,
    key: Key = None,
    purpose: Purpose = "review",
    json: Json = False,
) -> None:
    """Make a public key known to the server."""
    from registry_core.proofs.keys import load_key, public_base64  # noqa: PLC0415 - only when needed

    public = public_key or public_base64(load_key(key or default_key()).public_key())
    with base.client() as hallmark:
        owner = account or hallmark.whoami()["account"]
        written = hallmark.register_signing_key(owner, public, purpose)
    output.show(written, lambda: output.say(f"Registered key {written['key_id']} of {owner} for {purpose}"))
