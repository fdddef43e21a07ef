"""What TAB offers: names from the server where it answers at once, else nothing. Imports next to nothing."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import typer
from typer import _completion_shared as scripts

KINDS: Final = ("model", "adapter", "prompt", "dataset", "code")
STATES: Final = ("draft", "candidate", "approved", "deprecated", "retired", "suspended")
EVIDENCE: Final = ("sbom", "provenance", "evaluation", "scan_report", "model_card", "red_team", "review")
STATUSES: Final = ("requested", "audited", "in_review", "approved", "rejected", "refused")
ROLES: Final = ("viewer", "contributor", "reviewer:", "manager", "admin", "auditor")
SOURCES: Final = ("mlflow", "huggingface", "wandb", "sagemaker", "github", "kserve")
OUTCOMES: Final = ("waiting", "taken", "nothing", "failed", "conflict", "refused")
"""As registry_core and `until` have them, which take longer to import than a person waits; a test compares."""
_PATIENCE: Final = 0.25
"""Seconds, all in all, for the server; HALLMARK_COMPLETION_SECONDS for one that is far away."""
_BASH: Final = """
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" words
    read -ra words <<< "$line"
    local count=${#words[@]} typed=""
    if [[ "$line" != *[[:space:]] ]]; then count=$((count - 1)) typed="${words[count]}"; fi
    # bash ends words at : and @, which names are made of: what stands before the last one is there already
    local before="${typed%%"${typed##*[:@]}"}" IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="$line" COMP_CWORD=$count %(autocomplete_var)s=complete_bash $1 ) )
    COMPREPLY=( "${COMPREPLY[@]#"$before"}" )
    if [[ "${COMPREPLY[*]}" == *[:@] ]]; then compopt -o nospace; fi
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""


def use_own_script() -> None:
    """Typer's for bash does not know of words with a colon."""
    scripts._completion_scripts["bash"] = _BASH


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Values that are known beforehand."""

    def complete(incomplete: str) -> list[str]:
        return _fitting(values, incomplete)

    return complete


def refs(context: typer.Context, incomplete: str) -> list[str]:
    """Versions, by and by: kinds, then assets, then an asset's versions and aliases."""
    if "@" not in incomplete:
        return [f"{asset}@" if asset[-1] != ":" else asset for asset in assets(context, incomplete)]
    asset = incomplete.partition("@")[0]
    found = _asked(context, f"/v1/assets/{_segment(asset)}")
    names = [version["ref"] for version in found.get("versions", ())]
    return _fitting([*names, *(f"{asset}@{alias}" for alias in found.get("aliases", ()))], incomplete)


def assets(context: typer.Context, incomplete: str) -> list[str]:
    """`kind:name`, of the first thousand versions."""
    kind, colon, _ = incomplete.partition(":")
    if not colon:
        return _fitting([f"{kind}:" for kind in KINDS], incomplete)
    rows = _asked(context, f"/v1/views/version_overview?limit=1000&kind={_segment(kind)}").get("rows", ())
    return _fitting(sorted({row["ref"].partition("@")[0] for row in rows}), incomplete)


def aliases(context: typer.Context, incomplete: str) -> list[str]:
    """Those of the asset where it is named before, else those that are protected."""
    if asset := context.params.get("asset"):
        return _fitting(_asked(context, f"/v1/assets/{_segment(asset)}").get("aliases", ()), incomplete)
    return _fitting(_asked(context, "/v1/protected-aliases").get("names", ()), incomplete)


def promotions(context: typer.Context, incomplete: str) -> list[str]:
    """Those that people are asked about."""
    rows = _asked(context, "/v1/views/review_queue?limit=100&status=in%20review").get("rows", ())
    return _fitting([row["promotion"] for row in rows], incomplete)


def anything(context: typer.Context, incomplete: str) -> list[str]:
    """What `status` takes: an asset alone, too."""
    names = refs(context, incomplete) + ([] if ":" in incomplete else promotions(context, incomplete))
    return names + [name[:-1] for name in names if name.endswith("@")]


def _fitting(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _segment(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - only when needed

    return quote(text, safe="")


def _asked(context: typer.Context, path: str) -> dict[str, Any]:
    """The server's document; an empty one where it does not come in time, whatever the reason."""
    found: dict[str, Any] = {}
    asking = threading.Thread(target=_ask, args=(context.find_root().params.get("url"), path, found), daemon=True)
    asking.start()
    asking.join(_patience())
    return dict(found)


def _patience() -> float:
    text = os.environ.get("HALLMARK_COMPLETION_SECONDS", "")
    return float(text) if text.replace(".", "", 1).isdecimal() else _PATIENCE


def _ask(url: str | None, path: str, found: dict[str, Any]) -> None:
    from contextlib import suppress  # noqa: PLC0415 - as below
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - a tenth of what httpx takes
    from json import load  # noqa: PLC0415 - as above
    from urllib.parse import urlsplit  # noqa: PLC0415 - as above

    from hallmark import credentials  # noqa: PLC0415 - as above

    with suppress(Exception):  # a shell's prompt is no place for whatever went wrong
        known = credentials.resolve(url)
        where = urlsplit(known.url)
        kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
        connection = kind(where.hostname or "", where.port, timeout=_patience())
        connection.request("GET", where.path + path, headers={"Authorization": f"Bearer {known.token}"})
        answer = connection.getresponse()
        document = load(answer) if answer.status == 200 else {}
        found.update(document if isinstance(document, dict) else {})
