"""Centres of the training individuals, which are parameters of a loss, and cosines between embeddings and them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from siamesekit.components.distances.distance import unit
from siamesekit.hardware.allocator import refuse_too_many_numbers
from siamesekit.hardware.float32 import at_least_float32, full_precision


def class_cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Cosines between rows: `[N, D]`, `[C, D]` → `[N, C]`, −1 … 1 up to rounding, 0 for a zero row.

    Computed in the float type of the embeddings, at least float32, without autocast and TF32 (`full_precision`).
    """
    embeddings = at_least_float32(embeddings)
    with full_precision(embeddings.device):
        return unit(embeddings) @ unit(weights.to(embeddings.dtype)).T


def nearest_center_cosines(embeddings: Tensor, centers: Tensor, sub_centers: int) -> Tensor:
    """The cosine with the nearest of each individual's centres: `[N, D]`, `[C · S, D]` → `[N, C]`, S = `sub_centers`.

    The centres are ordered by individual. Deng et al. 2020 (ECCV), "Sub-center ArcFace".
    """
    return class_cosines(embeddings, centers).reshape(len(embeddings), -1, sub_centers).amax(2)


def random_centers(component: str, individuals: int, sub_centers: int, dimensions: int) -> nn.Parameter:
    """Centres `[C · S, D]` in random directions, of about length 1, drawn from torch's global generator.

    Args:
        component: kind and name of the loss, for errors.
        individuals: C.
        sub_centers: S, number of centres per individual.
        dimensions: D.

    Raises:
        ComponentError: the centres exceed the largest size of a component.
    """
    numbers = individuals * sub_centers * dimensions
    refuse_too_many_numbers(numbers, component, "sub_centers, or the embedding's dimension")
    return nn.Parameter(torch.randn(individuals * sub_centers, dimensions) * dimensions**-0.5)
