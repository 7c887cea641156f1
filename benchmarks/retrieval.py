"""(c) P@1 and MAP@R of many embeddings."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, side_by_side

TITLE = "P@1 and MAP@R"
DIMENSIONS = 256
SIZE, QUICK_SIZE = 100_000, 2_000
HEADLINE = Headline(
    "Ranking 100,000 embeddings against each other takes {0.ours} s here, with pytorch-metric-learning and faiss "
    "{0.theirs} s ({0.ratio}). Both give the same figures.",
    (("100,000 × 256, s", "pytorch-metric-learning + faiss"),),
)
MEASURES = (
    f"Both figures of {SIZE:,} embeddings of dimension {DIMENSIONS}, individuals of 40 to 60 photos in clusters of "
    "differing width, float32, each photo ranked against all others: one call, imports and drawing the embeddings not "
    "counted. Peak memory is the whole process's. The peer is pytorch-metric-learning's "
    '`AccuracyCalculator(include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count")` with '
    "faiss-cpu; here it is `siamesekit.metrics.retrieval` with the Euclidean distance. Always on the CPU."
)


def measure(setting: Setting) -> Outcome:
    """One size, time and peak memory, and how far the values are apart."""
    n = QUICK_SIZE if setting.quick else SIZE
    peer = "pytorch-metric-learning + faiss"
    theirs, ours = side_by_side(setting, 1 if setting.quick else 3, [
        Contender(peer, "benchmarks.retrieval:metric_learning", {"n": n}, ("pytorch_metric_learning", "faiss")),
        Contender("siamesekit", "benchmarks.retrieval:siamesekit", {"n": n}),
    ])  # fmt: skip
    notes = []
    if theirs.rounds and ours.rounds:
        apart = []
        for key, name in (("precision_at_1", "P@1"), ("map_at_r", "MAP@R")):
            a, b = float(theirs.last(key)), float(ours.last(key))
            apart.append(abs(a - b))
            notes.append(f"{name}: peer {a:.6f}, ours {b:.6f}.")
        notes.append(f"Largest difference: {max(apart):.1e}.")
    return Outcome([
        Row("c", f"{n:,} × {DIMENSIONS}, s", peer, theirs.best("seconds"), ours.best("seconds")),
        Row("c", f"{n:,} × {DIMENSIONS}, peak MiB", peer, theirs.most("peak_mib"), ours.most("peak_mib")),
    ], notes)  # fmt: skip


def siamesekit(n: int) -> dict[str, Any]:
    """This library's."""
    import numpy as np

    from siamesekit.distances.euclidean import Euclidean
    from siamesekit.metrics import retrieval

    embeddings, labels = _gallery(n)
    start = time.perf_counter()
    values = retrieval(embeddings, labels, Euclidean())
    precision, average = float(np.nanmean(values.precision_at_1)), float(np.nanmean(values.map_at_r))
    return {"seconds": time.perf_counter() - start, "precision_at_1": precision, "map_at_r": average}


def metric_learning(n: int) -> dict[str, Any]:
    """pytorch-metric-learning's."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    embeddings, labels = _gallery(n)
    include = ("precision_at_1", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=include, k="max_bin_count", device=torch.device("cpu"))
    start = time.perf_counter()
    values = calculator.get_accuracy(embeddings, labels)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "precision_at_1": values[include[0]], "map_at_r": values[include[1]]}


def _gallery(n: int) -> tuple[Any, Any]:
    """Embeddings `[n, D]` and labels `[n]`: some individuals are told apart easily, some are not."""
    import numpy as np
    import torch

    rng = np.random.default_rng(0)
    counts = rng.integers(40, 61, size=n // 40)
    labels = np.repeat(np.arange(len(counts)), counts)[:n]
    centres = rng.standard_normal((len(counts), DIMENSIONS), dtype=np.float32)
    spread = rng.uniform(1.2, 3.0, size=len(counts)).astype(np.float32)
    noise = rng.standard_normal((n, DIMENSIONS), dtype=np.float32)
    embeddings = centres[labels] + spread[labels, None] * noise
    order = rng.permutation(n)
    return torch.from_numpy(embeddings[order]), torch.from_numpy(labels[order])
