"""Each order under the same hammer, without kills: what it breaks."""

import shutil
from pathlib import Path

from registry_core.hammer import Options, hammer

KINDS = ("stream out of order", "acknowledged and never sealed")


async def try_orders(folder: Path, seconds: float, seed: int) -> list[dict[str, str]]:
    """A row for ours and for each script in the folder."""
    scripts = {"snapshot difference (ours)": ""}
    scripts |= {path.stem.replace("_", " "): path.read_text() for path in sorted(folder.glob("*.sql"))}
    return [await _try(name, sql, seconds, seed) for name, sql in scripts.items()]


async def _try(name: str, sql: str, seconds: float, seed: int) -> dict[str, str]:
    outcome = await hammer(Options(seconds, seed, disturbed=False, sql=sql, to_the_end=True))
    if outcome.folder:
        shutil.rmtree(outcome.folder, ignore_errors=True)
    found = {kind: f"{outcome.findings.counts[kind]:,}" for kind in KINDS}
    return {"order": name, "events": f"{outcome.counts['events']:,}", **found}
