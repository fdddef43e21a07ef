"""What the verification of a pack found."""

import re
from dataclasses import dataclass

from registry_core.proofs.cosignature import Cosigned
from registry_core.proofs.pack.lines import Kind

_CLUES = {
    "event": re.compile(rb'"item":"event"|"record":\{'),
    "blob": re.compile(rb'"item":"blob"|"media_type":"'),
    "decision": re.compile(rb'"item":"decision"|"envelope":\{'),
    "handover": re.compile(rb'"item":"handover"|"note":"hallmark key-'),
    "checkpoint": re.compile(rb'"item":"checkpoint"|"note":"'),
    "end": re.compile(rb'"item":"end"|"lines":'),
}
"""Two clues each, so that one damaged byte leaves one of them."""
_EVENT_ID = re.compile(rb'"id":"([0-9a-f-]{36})"')
_LOG_INDEX = re.compile(rb'"log_index":(\d{1,16})\b')
_DIGEST = re.compile(rb'"digest":"(sha256:[0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    """Line of the file, from 1; 0 for what the verifier brought (keys, the held checkpoint)."""
    what: str
    """E.g. `event 6f…11 at log index 12`, `blob sha256:…`, `header`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`ok` only if every check was made and held; what was not checked stands in `remarks`."""

    kind: Kind | None
    subject: str | None
    origin: str | None
    events: int
    blobs: int
    decisions: int
    erased: int
    """Events whose body is gone; their leaf is proven all the same."""
    checkpoint: str | None
    """The last checkpoint that held, as a signed note: keep it, and pass it as `held_checkpoint` the next time."""
    cosigned: tuple[Cosigned, ...]
    """Of each witness whose key was given: the largest checkpoint in the pack that it vouches for."""
    signed_by: tuple[str, ...]
    """The vkeys whose signatures on the whole file hold."""
    first_use: bool
    """Neither a trusted key nor a held checkpoint was given, so the pack's own statement of its key was taken."""
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def describe(raw: bytes, number: int) -> str:
    """What a line is, as far as it can still be read."""
    if number == 1:
        return "header"
    kind = next((kind for kind, clue in _CLUES.items() if clue.search(raw)), "unreadable line")
    if kind == "event":
        return kind + _found(" {}", _EVENT_ID, raw) + _found(" at log index {}", _LOG_INDEX, raw)
    return kind + _found(" {}", _DIGEST, raw) if kind == "blob" else kind


def _found(form: str, pattern: re.Pattern[bytes], raw: bytes) -> str:
    match = pattern.search(raw)
    return form.format(match[1].decode()) if match else ""
