"""Plots bench/out/growth.json: `python -m bench.peers.plot_growth <growth.json> <folder>`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot


def main(source: Path, folder: Path) -> None:
    points: list[dict[str, Any]] = json.loads(source.read_text())
    sizes = [point["events"] for point in points]
    figure, ((rates, proofs), (bytes_, memory)) = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for name, label in (("append_per_second", "append, 32 writers"), ("seal_per_second", "seal")):
        rates.plot(sizes, [point[name] for point in points], marker="o", label=label)
    for name, label in (("proof_p50_ms", "p50"), ("proof_p99_ms", "p99")):
        proofs.plot(sizes, [point[name] for point in points], marker="o", label=label)
    for name, label in (("table_bytes", "rows"), ("index_bytes", "indexes")):
        per_event = [sum(point[name].values()) / point["events"] for point in points]
        bytes_.plot(sizes, per_event, marker="o", label=label)
    for name, label in (("export_rss_mb", "whole export"), ("rebuild_rss_mb", "rebuild of a projection")):
        memory.plot(sizes, [point[name] for point in points], marker="o", label=label)
    titles = ("events a second", "inclusion proof, ms", "bytes per event on disk", "peak memory, MB")
    for axes, title in zip((rates, proofs, bytes_, memory), titles, strict=True):
        axes.set(title=title, xscale="log", xlabel="events in the log", ylim=(0, 1.1 * axes.dataLim.y1))
        axes.legend()
    figure.savefig(folder / "growth.png", dpi=90)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
