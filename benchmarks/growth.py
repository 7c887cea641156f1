"""How time and memory grow: `python -m benchmarks.growth [--quick] [--out FILE]` writes the text of a section.

Each point is measured in a fresh process, on one thread: processor time, and the peak memory above that before the
call. A power law is fitted to the points: the slope of the logarithms, with its standard error.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import Contender, Setting, figure, fresh
from benchmarks.page import machine, section

OUT = Path(__file__).with_name("growth.md")
LEAST_MIB = 2.0
"""Memory below this is not fitted: it is that of a few pages."""


@dataclass(frozen=True)
class Curve:
    """One quantity that grows, and the others that stay.

    Attributes:
        what: what is measured.
        over: name of the argument that grows.
        values: its values, each twice the one before.
        fixed: the other arguments.
    """

    what: str
    over: str
    values: tuple[int, ...]
    fixed: dict[str, int]


CURVES = (
    Curve("reading", "photos", (2_000, 4_000, 8_000, 16_000), {}),
    Curve("sampling", "photos", (50_000, 100_000, 200_000, 400_000), {"individuals": 1_000}),
    Curve("sampling", "individuals", (1_000, 2_000, 4_000, 8_000), {"photos": 100_000}),
    Curve("step", "batch", (64, 128, 256, 512), {"dimensions": 128}),
    Curve("step", "dimensions", (128, 256, 512, 1_024), {"batch": 128}),
    Curve("evaluation", "photos", (500, 1_000, 2_000, 4_000), {"individuals": 100, "dimensions": 128}),
    Curve("evaluation", "photos", (5_000, 10_000, 20_000), {"individuals": 100, "dimensions": 128}),
    Curve("evaluation", "individuals", (50, 100, 200, 400), {"photos": 4_000, "dimensions": 128}),
    Curve("evaluation", "dimensions", (64, 128, 256), {"photos": 4_000, "individuals": 100}),
    Curve("search", "photos", (50_000, 100_000, 200_000, 400_000), {"dimensions": 128}),
    Curve("search", "dimensions", (64, 128, 256, 512), {"photos": 50_000}),
)
TOLD = {
    "reading": "reading a table",
    "sampling": "sampling an epoch",
    "step": "a step of training",
    "evaluation": "figures",
    "search": "searching a store",
}
TEXT = (
    "Processor seconds of one thread and peak MiB above those before the call, each point in a fresh process. The "
    "exponent is the slope of the logarithms with its standard error: 1 is linear, 2 is quadratic; few points and a "
    "busy machine make it rough. *Reading a table* is the reader `csv`, with a file for each photo; *sampling an "
    "epoch* is `p-by-k`; *a step of training* is a step of a small convolutional encoder on photos of 32 × 32 with "
    "the triplet loss over all triplets; *figures* are all those of an evaluation, "
    "with 200 resamples; *searching a store* is 64 queries for the 12 nearest in the store `memory-mapped`, first "
    "search included. Figures compare all photos with each other, so their time is quadratic in many photos. Of up to "
    "4,472 photos they include those of whole rankings, which need the ranks of all photos of the individual. A "
    "step's time and memory are quadratic in the batch as soon as the matrix of its distances outweighs "
    "the encoder. A dash: the memory is below 2 MiB at some point."
)


class Fit(NamedTuple):
    """A power law: exponent and its standard error."""

    exponent: float
    error: float

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ± {self.error:.2f}".replace("-", "−")


def fitted(values: Sequence[float], found: Sequence[float]) -> Fit:
    """The slope of log `found` over log `values` by least squares, of three points or more, all above 0.

    >>> fitted([1, 2, 4], [3, 12, 48])
    Fit(exponent=2.0, error=0.0)
    """
    x, y = ([math.log2(value) for value in each] for each in (values, found))
    middle, level = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - middle) ** 2 for a in x)
    slope = sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - level - slope * (a - middle)) ** 2 for a, b in zip(x, y, strict=True))
    return Fit(slope, math.sqrt(max(0.0, rest) / (len(x) - 2) / spread))


def measured(what: str, **arguments: int) -> dict[str, Any]:
    """Processor seconds of a call, and its peak memory in MiB above that before it."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        call = PREPARED[what](Path(folder), **arguments)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, start = _status("VmRSS"), time.process_time()
        call()
        seconds = time.process_time() - start
        return {"seconds": seconds, "memory_mib": max(0.0, _status("VmHWM") - before)}


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def reading(folder: Path, photos: int) -> Callable[[], object]:
    """The reader `csv`."""
    from siamesekit.components.readers.csv import read_csv

    names = [f"{number}.jpg" for number in range(photos)]
    for name in names:
        (folder / name).touch()
    rows = "".join(f"{name},animal {number % 100}\n" for number, name in enumerate(names))
    (folder / "table.csv").write_text("photo,individual\n" + rows)
    return lambda: read_csv(folder / "table.csv")


def sampling(folder: Path, photos: int, individuals: int) -> Callable[[], object]:
    """All batches of an epoch of `p-by-k`, one after the other."""
    import numpy as np

    from siamesekit.components.samplers.p_by_k import PByKSampler

    labels = np.arange(photos) % individuals
    return lambda: sum(len(batch.images) for batch in PByKSampler(labels=labels, seed=0).epoch(1))


def step(folder: Path, batch: int, dimensions: int) -> Callable[[], object]:
    """Forward and backward pass of a small encoder, after a step that is not counted."""
    import torch

    from siamesekit import TripletLoss

    encoder = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, 2), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(32 * 49, dimensions),
    )  # fmt: skip
    loss, photos, labels = TripletLoss(0.2), torch.rand(batch, 3, 32, 32), torch.arange(batch) // 4
    loss(encoder(photos[:16]), labels[:16]).backward()
    return lambda: loss(encoder(photos), labels).backward()


def evaluation(folder: Path, photos: int, individuals: int, dimensions: int) -> Callable[[], object]:
    """All figures of random embeddings around the middle of each individual."""
    import torch

    from siamesekit.components.distances.euclidean import Euclidean
    from siamesekit.components.tuples import Triplets
    from siamesekit.evaluation.figures import evaluate
    from siamesekit.evaluation.intervals import Bootstrap

    labels = torch.arange(photos) % individuals
    embeddings = torch.randn(individuals, dimensions)[labels] + 2 * torch.randn(photos, dimensions)
    triplets = Triplets(*torch.zeros(3, 0, dtype=torch.int64))
    return lambda: evaluate(embeddings, labels.numpy(), triplets, Euclidean(), Bootstrap(0.95, 200, 0))


def search(folder: Path, photos: int, dimensions: int) -> Callable[[], object]:
    """The first search of a store."""
    import numpy as np

    from siamesekit.registry import STORES

    runtime: dict[str, Any] = {"folder": folder, "collection": "rows", "dimensions": dimensions, "distance": "cosine"}
    store = STORES.build("memory-mapped", **runtime)
    rows = np.random.default_rng(0).standard_normal((photos, dimensions), dtype=np.float32)
    store.add(np.arange(1, photos + 1), rows)
    queries = np.random.default_rng(1).standard_normal((64, dimensions), dtype=np.float32)
    return lambda: store.search(queries, 12)


PREPARED: dict[str, Callable[..., Callable[[], object]]] = {
    "reading": reading,
    "sampling": sampling,
    "step": step,
    "evaluation": evaluation,
    "search": search,
}


def rows_of(curves: Sequence[Curve], folder: Path) -> Iterator[list[str]]:
    """A line of the table for each curve, as soon as it is measured."""
    for curve in curves:
        points = []
        for value in curve.values:
            arguments = {"what": curve.what, curve.over: value, **curve.fixed}
            points.append(fresh(Contender("", "benchmarks.growth:measured", arguments), folder))
        seconds, memory = ([point[key] for point in points] for key in ("seconds", "memory_mib"))
        fixed = ", ".join(f"{number:,} {name}" for name, number in curve.fixed.items())
        yield [
            TOLD[curve.what],
            f"{curve.over}, {curve.values[0]:,} to {curve.values[-1]:,}" + (f" ({fixed})" if fixed else ""),
            f"{figure(seconds[0], 3)} to {figure(seconds[-1], 3)}",
            str(fitted(curve.values, seconds)),
            f"{memory[0]:.0f} to {memory[-1]:.0f}",
            str(fitted(curve.values, memory)) if min(memory) >= LEAST_MIB else "—",
        ]


def main() -> None:
    """Measure all curves and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="How time and memory grow.")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the sizes, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help=f"file to write (default for a full run: {OUT.name})")
    given = parser.parse_args()
    if given.quick and given.out is None:
        parser.error("--quick needs --out FILE")
    share = 16 if given.quick else 1
    curves = [Curve(c.what, c.over, tuple(v // share for v in c.values), c.fixed) for c in CURVES]
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    lines = [["what", "over", "s", "exponent", "MiB", "exponent"]]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(curves, Path(folder)):
            lines.append(row)
            print("  ".join(row), flush=True)
        facts = dict(machine(Setting(given.quick, "cpu", Path(folder), print), load))
    (given.out or OUT).write_text(section(lines, TEXT, facts, words=2), encoding="utf-8")


if __name__ == "__main__":
    main()
