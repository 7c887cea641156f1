"""The library's distances in NumPy, for use without torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Values = NDArray[np.floating]
LEAST_LENGTH = 1e-8
"""Least length by which a row is divided, as in PyTorch's `cosine_similarity`."""


def cosine(a: Rows, b: Rows) -> Values:
    """1 − cos of the angle between a and b: `[..., D]`, `[..., D]` → `[...]`, 0 … 2; 1 for a zero vector."""
    long_a, long_b = (np.maximum(np.linalg.norm(rows, axis=-1), LEAST_LENGTH) for rows in (a, b))
    return np.asarray(np.clip(1 - (a * b).sum(axis=-1) / (long_a * long_b), 0, 2))


def euclidean(a: Rows, b: Rows) -> Values:
    """√Σ (a − b)²: `[..., D]`, `[..., D]` → `[...]`, at least 0."""
    return np.asarray(np.sqrt(squared_euclidean(a, b)))


def squared_euclidean(a: Rows, b: Rows) -> Values:
    """Σ (a − b)²: `[..., D]`, `[..., D]` → `[...]`, at least 0."""
    return np.asarray(np.square(a - b).sum(axis=-1))


def manhattan(a: Rows, b: Rows) -> Values:
    """Σ |a − b|: `[..., D]`, `[..., D]` → `[...]`, at least 0."""
    return np.asarray(np.abs(a - b).sum(axis=-1))


def dot(a: Rows, b: Rows) -> Values:
    """−Σ a·b: `[..., D]`, `[..., D]` → `[...]`, of either sign."""
    return np.asarray(-(a * b).sum(axis=-1))


NUMPY_DISTANCES = {
    "cosine": cosine,
    "dot": dot,
    "euclidean": euclidean,
    "manhattan": manhattan,
    "squared-euclidean": squared_euclidean,
}
"""By the names that a config gives them. None of them has options."""
