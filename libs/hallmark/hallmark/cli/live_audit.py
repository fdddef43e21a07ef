"""`hallmark audit verify` over a running server: the whole log, or only that it extends a checkpoint kept elsewhere."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import httpx
import typer
from registry_core.proofs.canonical import from_base64
from registry_core.proofs.cosignature import Cosigned, WitnessKey
from registry_core.proofs.handover import KeyChain
from registry_core.proofs.live import Finding, LiveReport, verify_live
from registry_core.proofs.merkle import ProofError
from registry_core.proofs.note import NoteError, Verifier, open_note, parse_checkpoint, verify_advance

from hallmark import Client
from hallmark.cli import base, output
from hallmark.errors import HallmarkError

_SECONDS: Final = 30.0


def newest_of(witness: str) -> str:
    """The largest checkpoint that a witness holds: a folder, `file://`, `http(s)://` (a GET) or `s3://`."""
    note: str | None
    if witness.startswith(("http://", "https://")):
        note = _get(witness)
    elif witness.startswith("s3://"):
        note = _from_store(witness)
    else:
        folder = Path(witness.removeprefix("file://"))
        newest = max(folder.glob(f"{'[0-9]' * 12}.note"), default=None)  # names are sizes
        note = newest.read_text(errors="replace") if newest else None
    if note is None:
        base.fail(f"{witness} holds no checkpoint", "see that it is the folder or address of HALLMARK_WITNESSES")
    return note


def _get(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=_SECONDS)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        base.fail(f"{url} does not answer with a checkpoint: {error}", "see that it is right and can be reached")
    return answer.text


def _from_store(url: str) -> str | None:
    import asyncio  # noqa: PLC0415 - for this witness alone

    try:
        from registry_core.settings import Settings  # noqa: PLC0415 - not installed with the client alone
        from registry_core.witnesses import open_witness  # noqa: PLC0415
    except ImportError:
        base.fail("reading s3:// needs the server's packages", "install registry-core[server]")
    return asyncio.run(open_witness(url, Settings()).newest())


def witness_keys(vkeys: Sequence[str]) -> list[WitnessKey]:
    """As given with --witness-key."""
    try:
        return [WitnessKey(vkey) for vkey in vkeys]
    except NoteError as error:
        base.fail(str(error), "give the witness's own key as it publishes it")


def cosigned(found: Sequence[Cosigned]) -> dict[str, str]:
    """For a person to read."""
    return {f"cosigned by {one.witness}": f"{one.size} events at {one.at:%Y-%m-%dT%H:%M:%SZ}" for one in found}


def verify(
    trusted: Sequence[str], held: str | None, keep: Path | None, witnesses: Sequence[WitnessKey], *, whole: bool
) -> None:
    """Exit code 0 or 1, with what was found."""
    if witnesses and not whole:
        base.fail("--witness-key goes with a file or with --live", "add --live", base.USAGE)
    if held is None and not whole:
        base.fail("nothing to verify", "name a file, or --live, or a --checkpoint or --witness", base.USAGE)
    with base.client() as hallmark:
        chain = _chain(hallmark, trusted, held)
        report = _read(hallmark, chain, held, witnesses) if whole else _extends(hallmark, chain, held or "")
    if keep and report.ok and report.newest:
        keep.write_text(report.newest)
    output.show({"ok": report.ok, **asdict(report)}, lambda: _told(report, first_use=not trusted and held is None))
    raise typer.Exit(0 if report.ok else base.REFUSED)


def _chain(hallmark: Client, trusted: Sequence[str], held: str | None) -> KeyChain:
    """Keys brought along, else the one that signed the held checkpoint, else those that the server states."""
    stated = hallmark.log_key()
    try:
        chain = KeyChain(stated["origin"], trusted or _signers(stated, held) or [stated["vkey"]])
        for handover in stated["handovers"]:
            chain.add(handover)
    except NoteError as error:
        base.fail(str(error), "give the key as `hallmark audit key` shows it")
    return chain


def _signers(stated: dict[str, object], held: str | None) -> list[str]:
    if held is None:
        return []
    keys = stated["keys"]
    assert isinstance(keys, list)
    known = [Verifier(key["vkey"]) for key in keys]
    return [verifier.vkey for verifier in open_note(held, known).signed_by]


def _read(hallmark: Client, chain: KeyChain, held: str | None, witnesses: Sequence[WitnessKey]) -> LiveReport:
    with output.progress("verifying", _signed_size(hallmark), events=True) as count:
        return verify_live(
            hallmark.log_entries, hallmark.checkpoints, chain, [held] if held else [], count, witnesses=witnesses
        )


def _signed_size(hallmark: Client) -> int:
    """For progress alone; 0 where the server has no checkpoint or shows none that can be read: verifying tells so."""
    try:
        return parse_checkpoint(hallmark.checkpoint().rpartition("\n\n")[0] + "\n").size
    except NoteError:
        return 0
    except HallmarkError as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        return 0


def _extends(hallmark: Client, chain: KeyChain, note: str) -> LiveReport:
    """That the server's newest checkpoint extends the held one, by its consistency proof alone."""
    report = LiveReport()
    try:
        held, current = chain.open(note), hallmark.checkpoint()
        newer = chain.open(current)
        proof = [] if newer.size < held.size else hallmark.consistency_proof(held.size, newer.size)
        verify_advance(held, newer, [from_base64(hash_) for hash_ in proof])
        report.size, report.checkpoints, report.newest = newer.size, 2, current
    except (NoteError, ProofError) as error:
        report.findings.append(Finding(0, 0, None, f"the log does not extend the checkpoint you hold: {error}"))
    return report


def _told(report: LiveReport, *, first_use: bool) -> None:
    for finding in report.findings:
        where = f"log index {finding.first}" + (f" to {finding.last}" if finding.last > finding.first else "")
        output.say(f"{where}: {f'event {finding.event}: ' if finding.event else ''}{finding.message}", "red")
    output.facts({"signed up to": report.size, "events": report.events, "checkpoints": report.checkpoints,
                  "erased": report.erased, **cosigned(report.cosigned)})  # fmt: skip
    if first_use:
        output.say("Note: no --key was given, so the server's own statement of its key was taken", "yellow")
    count = len(report.findings)
    output.say("Verified." if report.ok else f"NOT verified: {count} finding{'s' if count > 1 else ''}.",
               "green" if report.ok else "red")  # fmt: skip
