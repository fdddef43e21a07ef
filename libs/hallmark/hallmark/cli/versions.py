"""`hallmark register`, `upload`, `download`, `amend`, `evidence add`."""

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import Json, Ref

File = typer.Argument(exists=True, help="A file, or a folder that stands for all files in it.")
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One field, e.g. owner=alice; repeat it for lists."),
]
MetadataFile = Annotated[
    Path | None, typer.Option("--metadata", exists=True, dir_okay=False, help="Fields as JSON or TOML.")
]
Evidence = Annotated[
    list[str] | None,
    typer.Option("--evidence", metavar="TYPE=FILE", help="A document about it, e.g. sbom=bom.json; repeatable."),
]


def add_to(app: typer.Typer) -> None:
    app.command()(register)
    app.command()(upload)
    app.command()(download)
    app.command()(amend)
    evidence = base.group("Documents about a version.")
    evidence.command("add")(add_evidence)
    app.add_typer(evidence, name="evidence")


def register(
    ref: Ref,
    files: Annotated[list[Path] | None, File] = None,
    *,
    digest: Annotated[str | None, typer.Option(help="sha256:… of content that is kept elsewhere.")] = None,
    format: Annotated[str | None, typer.Option(help="E.g. safetensors, skops, onnx.")] = None,  # noqa: A002 - the field's name
    metadata: MetadataFile = None,
    fields: Set = None,
    source: Annotated[str | None, typer.Option(help="Which pipeline says so.")] = None,
    evidence: Evidence = None,
    json: Json = False,
) -> None:
    """Register a draft, upload its files, attach evidence. Again does no harm: what the server has is not sent."""
    found, documents = _metadata(metadata, fields), _documents(evidence or [])
    with base.client() as hallmark, output.progress("uploading", _size(files or [])) as count:
        written = hallmark.register_version(
            ref,
            files=[*files] if files else [],
            digest=digest,
            metadata=found,
            format=format,
            source=source,
            progress=count,
        )
        attached = [hallmark.attach_evidence(ref, kind, path)["digest"] for kind, path in documents]
    output.show({**written, "evidence": attached}, lambda: _say_registered(ref, written["digest"], documents))


def _say_registered(ref: str, digest: str, documents: list[tuple[str, Path]]) -> None:
    output.say(f"Registered {ref} with {digest}")
    for kind, path in documents:
        output.say(f"Attached {kind} {path}")


def upload(
    ref: Ref,
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file.")],
    name: Annotated[str | None, typer.Option(help="Its name in the version; by default its own.")] = None,
    json: Json = False,
) -> None:
    """Upload one file that was declared when the version was registered."""
    with base.client() as hallmark, output.progress(path.name, path.stat().st_size) as count:
        written = hallmark.upload_file(ref, path, name, count)
    output.show(written, lambda: output.say(f"Stored {written['file']} of {ref}"))


def download(
    ref: Ref,
    files: Annotated[list[str] | None, typer.Option("--file", metavar="NAME", help="Only this; repeatable.")] = None,
    to: Annotated[Path, typer.Option("--to", file_okay=False, help="The folder; made where needed.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of other content.")] = False,
    json: Json = False,
) -> None:
    """Get a version's files, verified. Again goes on where it broke off, and does not get what is there."""
    with base.client() as hallmark:
        total = sum(file.size or 0 for file in hallmark.files_of(ref, files))
        with output.progress("downloading", total) as count:
            found = hallmark.download(ref, to, files, overwrite=overwrite, progress=count)
    output.show(found, lambda: output.table(["file", "bytes", "outcome"], _landed(found)))


def _landed(found: dict[str, Any]) -> list[list[object]]:
    return [[file["path"], file["size"], file["outcome"]] for file in found["files"]]


def amend(ref: Ref, metadata: MetadataFile = None, fields: Set = None, json: Json = False) -> None:
    """Complete or correct a version's metadata; fields not named stay."""
    found = _metadata(metadata, fields)
    if not found:
        base.fail("no field was named", "write e.g. --set owner=alice", base.USAGE)
    with base.client() as hallmark:
        written = hallmark.amend_metadata(ref, found)
    output.show(written, lambda: output.say(f"Amended {', '.join(found)} of {ref}"))


def add_evidence(
    ref: Ref,
    evidence_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            autocompletion=completion.one_of(*completion.EVIDENCE),
            help="sbom, provenance, evaluation, scan_report, model_card, red_team or review.",
        ),
    ],
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The document, at most 16 MiB.")],
    media_type: Annotated[str | None, typer.Option(help="By default from the content.")] = None,
    json: Json = False,
) -> None:
    """Attach a document to a version; the checks it feeds start by themselves."""
    with base.client() as hallmark, output.waiting(f"sending {path.name}"):
        written = hallmark.attach_evidence(ref, evidence_type, path, media_type)
    output.show(written, lambda: output.say(f"Attached {evidence_type} {written['digest']} to {ref}"))


def _documents(named: list[str]) -> list[tuple[str, Path]]:
    """`TYPE=FILE` each; checked here, so that a mistake is named before anything is sent."""
    from registry_core.values import EvidenceType  # noqa: PLC0415 - only when needed

    documents = []
    for text in named:
        kind, equals, path = text.partition("=")
        if not equals or kind not in list(EvidenceType):
            types = ", ".join(EvidenceType)
            wrong = f"{kind!r} is no type of evidence" if equals else f"{text!r} is not TYPE=FILE"
            base.fail(wrong, f"write TYPE=FILE with one of {types}", base.USAGE)
        if not Path(path).is_file():
            base.fail(f"{path!r} is no file, so it cannot be attached as {kind}", "name a file there is", base.USAGE)
        documents.append((kind, Path(path)))
    return documents


def _size(paths: list[Path]) -> int:
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files if file.is_file())


def _metadata(path: Path | None, fields: list[str] | None) -> dict[str, Any]:
    """Fields of the file, then those named singly; checked here, so that a mistake is named before anything is sent."""
    from registry_core.values import Metadata  # noqa: PLC0415 - only when needed

    found = _read(path) if path else {}
    for field in fields or []:
        name, separator, value = field.partition("=")
        if not separator:
            base.fail(f"{field!r} is not NAME=VALUE", "write e.g. --set owner=alice", base.USAGE)
        _put(found, name, value)
    text = json_format.dumps(found, default=str)  # TOML has times of its own
    Metadata.model_validate_json(text)
    sent: dict[str, Any] = json_format.loads(text)
    return sent


def _put(found: dict[str, Any], name: str, value: str) -> None:
    from registry_core.values import Metadata  # noqa: PLC0415 - only when needed

    field = Metadata.model_fields.get(name)
    if field is not None and field.default == ():
        found[name] = [*found.get(name, []), value]
    else:
        found[name] = value


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only when needed

    text = path.read_text()
    try:
        found = tomllib.loads(text) if path.suffix == ".toml" else json_format.loads(text)
    except ValueError as error:
        base.fail(f"{path} cannot be read: {error}", "correct it", base.USAGE)
    return (
        found
        if isinstance(found, dict)
        else base.fail(f"{path} is no object of fields", "write one: fields by name", base.USAGE)
    )
