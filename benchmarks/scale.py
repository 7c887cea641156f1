"""Costs of a million photos and more: `python -m benchmarks.scale [--measure] [--out FILE]`.

`--measure` measures what a photo costs here, into scale.json. Without it, the tables of docs/scale.md are written anew:
arithmetic from those measurements, from published throughput, and from assumptions, which the tables tell apart.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Contender, Setting, fresh
from benchmarks.page import machine

COSTS = Path(__file__).with_name("scale.json")
OUT = ROOT / "docs" / "scale.md"
ENCODERS = {"efficientnet-lite0": ("blocks.5", 6), "timm/resnet50": ("layer4", 3)}
"""Encoders that are measured: the first part that trains, and the number of rounds."""
PHOTOS = {"12": (4000, 3000), "2": (1632, 1224)}
"""Sizes of the photos that are decoded, by megapixels."""
TOGETHER = 8
"""Photos of a step that is measured."""
RUNS = 2
"""Rounds of the runs of one and of two processes."""


def measured() -> dict[str, Any]:
    """All that is measured here, each in a fresh process, and the machine."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    found: dict[str, Any] = {"decoding": {}, "encoders": {}, "processes": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def call(function: str, **arguments: Any) -> dict[str, Any]:
            given = fresh(Contender("", f"benchmarks.scale_costs:{function}", arguments), folder)
            print(function, arguments, given, flush=True)
            return {key: value for key, value in given.items() if key not in ("peak_mib", "wall_s")}

        for megapixels, (width, height) in PHOTOS.items():
            found["decoding"][megapixels] = call("decoding", width=width, height=height, rounds=8)
        for encoder, (train_from, rounds) in ENCODERS.items():
            arguments = {"name": encoder, "train_from": train_from, "photos": TOGETHER, "rounds": rounds}
            found["encoders"][encoder] = call("encoder", **arguments)
        runs: dict[str, list[dict[str, Any]]] = {"1": [], "2": []}
        for _ in range(RUNS):
            for nproc, rounds_of in runs.items():
                rounds_of.append(call("processes", nproc=int(nproc), threads=2))
        found["processes"] = runs
        found["machine"] = dict(machine(Setting(False, "cpu", folder, print), load))
    return found


def main() -> None:
    """Measure, or write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help=f"measure this machine, into {COSTS.name}")
    parser.add_argument("--out", type=Path, help="file to write")
    given = parser.parse_args()
    if given.measure:
        os.environ["OMP_NUM_THREADS"] = "1"
        text = json.dumps(measured(), indent=2, ensure_ascii=False) + "\n"
        (given.out or COSTS).write_text(text, encoding="utf-8")
        return
    from benchmarks.scale_tables import with_tables

    costs = json.loads(COSTS.read_text(encoding="utf-8"))
    (given.out or OUT).write_text(with_tables(OUT.read_text(encoding="utf-8"), costs), encoding="utf-8")


if __name__ == "__main__":
    main()
