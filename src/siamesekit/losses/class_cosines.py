"""Cosines between embeddings and what a loss holds for each training individual."""

from __future__ import annotations

from torch import Tensor

from siamesekit.distances.distance import at_least_float32, full_precision, unit


def class_cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    """cos of the angles between rows: `[N, D]`, `[C, D]` → `[N, C]`, −1 … 1 but for rounding; a zero row is at 0.

    In the embeddings' float type, float32 or better: neither autocast nor TF32 reaches in here (`full_precision`).
    """
    embeddings = at_least_float32(embeddings)
    with full_precision(embeddings.device):
        return unit(embeddings) @ unit(weights.to(embeddings.dtype)).T
