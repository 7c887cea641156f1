"""(c) P@1 and MAP@R of many embeddings."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, side_by_side

TITLE = "P@1 and MAP@R"
DIMENSIONS = 256
SIZE, QUICK_SIZE = 100_000, 2_000
HEADLINE = Headline(
    "Ranking 100,000 embeddings against each other takes {0.ours} s with this library and {0.theirs} s with "
    "pytorch-metric-learning and faiss ({0.ratio}). Both give the same figures.",
    (("100,000 × 256, s", "pytorch-metric-learning + faiss"),),
)
MEASURES = (
    f"P@1 and MAP@R of {SIZE:,} float32 embeddings of dimension {DIMENSIONS}: individuals of 40 to 60 photos in "
    "clusters of different widths, each photo ranked against all others. The time is that of one call, without imports "
    "and the generation of embeddings. Peak memory is that of the whole process. The peer is pytorch-metric-learning's "
    '`AccuracyCalculator(include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count")` with '
    "faiss-cpu; ours is `siamesekit.evaluation.retrieval.retrieval_metrics` with the Euclidean "
    "distance. Both run on the CPU. The ratio depends on the processor: with instructions for bfloat16 the scan is in "
    "bfloat16; without them each product in fp32 is computed once for both of its photos, and the ratio on two cores "
    "of an AMD EPYC with AVX2 alone is 1.55 × (three rounds in turn on 2026-11-29, torch 2.14.1, faiss-cpu 1.15.1: "
    "38.8 to 41.2 s and 1266 MiB, against 61.1 to 63.7 s and 2631 MiB with pytorch-metric-learning; before, 96 s)."
)


def measure(setting: Setting) -> Outcome:
    """Measure time, peak memory and the difference of the values at one size."""
    n = QUICK_SIZE if setting.quick else SIZE
    peer = "pytorch-metric-learning + faiss"
    theirs, ours = side_by_side(
        setting,
        1 if setting.quick else 3,
        [
            Contender(peer, "benchmarks.retrieval:metric_learning", {"n": n}, ("pytorch_metric_learning", "faiss")),
            Contender("siamesekit", "benchmarks.retrieval:siamesekit", {"n": n}),
        ],
    )
    notes = []
    if theirs.rounds and ours.rounds:
        apart = []
        for key, name in (("precision_at_1", "P@1"), ("map_at_r", "MAP@R")):
            a, b = float(theirs.last(key)), float(ours.last(key))
            apart.append(abs(a - b))
            notes.append(f"{name}: peer {a:.6f}, ours {b:.6f}.")
        notes.append(f"Largest difference: {max(apart):.1e}.")
    return Outcome(
        [
            Row("c", f"{n:,} × {DIMENSIONS}, s", peer, theirs.best("seconds"), ours.best("seconds")),
            Row("c", f"{n:,} × {DIMENSIONS}, peak MiB", peer, theirs.most("peak_mib"), ours.most("peak_mib")),
        ],
        notes,
    )


def siamesekit(n: int) -> dict[str, Any]:
    """The retrieval metrics of this library."""
    import numpy as np

    from siamesekit.components.distances.euclidean import Euclidean
    from siamesekit.evaluation.retrieval import retrieval_metrics

    embeddings, labels = _gallery(n)
    start = time.perf_counter()
    values = retrieval_metrics(embeddings, labels, Euclidean())
    precision, average = float(np.nanmean(values.precision_at_1)), float(np.nanmean(values.map_at_r))
    return {"seconds": time.perf_counter() - start, "precision_at_1": precision, "map_at_r": average}


def metric_learning(n: int) -> dict[str, Any]:
    """The retrieval metrics of pytorch-metric-learning."""
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
    """Embeddings `[n, D]` and labels `[n]`; some individuals are easy to tell apart, others are not."""
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
