"""Cosines between embeddings and the parameters of a loss for each training individual."""

from __future__ import annotations

from torch import Tensor

from siamesekit.components.distances.distance import unit
from siamesekit.hardware.float32 import at_least_float32, full_precision


def class_cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Cosines between rows: `[N, D]`, `[C, D]` → `[N, C]`, −1 … 1 up to rounding, 0 for a zero row.

    Computed in the float type of the embeddings, at least float32, without autocast and TF32 (`full_precision`).
    """
    embeddings = at_least_float32(embeddings)
    with full_precision(embeddings.device):
        return unit(embeddings) @ unit(weights.to(embeddings.dtype)).T
