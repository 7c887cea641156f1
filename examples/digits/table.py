"""Train every combination of loss and miner on the digits, with shared and disjoint digits, and write a table.

python examples/digits/table.py            # all losses, some minutes; writes table.md next to this file
python examples/digits/table.py triplet    # one loss
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from siamesekit import load_config, run

HERE = Path(__file__).parent
SPLITS = {
    "shared": ["split.by=photo", "split.train=0.5"],
    "disjoint": ["split.by=identity", 'split.test=["5", "6", "7", "8", "9"]'],
}
LOSSES: dict[str, list[str]] = {
    "triplet": ["loss.margin=0.2", "loss.reduction=mean-nonzero"],
    "contrastive": [],
    "info-nce": [],
    "multi-similarity": [],
    "proxy-anchor": ["loss.optimizer.name=adam", "loss.optimizer.lr=1e-2"],
    "arcface": ["loss.optimizer.name=adam", "loss.optimizer.lr=1e-2"],
}
BY_CLASS = ("proxy-anchor", "arcface")
"""Losses that compare embeddings with classes, and so take no triplets of a miner."""
MINERS = ("none", "batch-hard", "semi-hard", "distance-weighted")


def measure(split: str, loss: str, miner: str) -> dict[str, float]:
    """P@1 and MAP@R of the test scans after training, and the duration in seconds."""
    overrides = [*SPLITS[split], f"loss.name={loss}", *LOSSES[loss]]
    if miner != "none":
        overrides.append(f"miner.name={miner}")
    config = load_config(HERE / "grid.toml", overrides)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        networks = run(config, out=Path(folder) / "run").evaluation["networks"]
    return {
        "p1": networks["trained"]["precision_at_1"]["value"],
        "map": networks["trained"]["map_at_r"]["value"],
        "untrained": networks["untrained"]["map_at_r"]["value"],
        "pixels": networks["raw_pixels"]["map_at_r"]["value"],
        "seconds": time.perf_counter() - begin,
    }


def main(wanted: list[str]) -> None:
    """Measure the combinations and write the table."""
    rows = [
        "| loss | miner | shared: P@1 | shared: MAP@R | disjoint: P@1 | disjoint: MAP@R |",
        "| - | - | - | - | - | - |",
    ]
    last: dict[str, dict[str, float]] = {}
    for loss in wanted or list(LOSSES):
        for miner in MINERS[:1] if loss in BY_CLASS else MINERS:
            last = {split: measure(split, loss, miner) for split in SPLITS}
            figures = " | ".join(f"{last[split]['p1']:.3f} | {last[split]['map']:.3f}" for split in SPLITS)
            rows.append(f"| {loss} | {miner} | {figures} |")
            print(rows[-1], f"{sum(each['seconds'] for each in last.values()):.0f} s", flush=True)
    for name in ("untrained", "pixels"):
        rows.append(f"| *{name}* | | | {last['shared'][name]:.3f} | | {last['disjoint'][name]:.3f} |")
    (HERE / "table.md").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
