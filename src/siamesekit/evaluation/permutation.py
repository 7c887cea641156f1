"""Permutation test: how often shuffled labels separate same from different pairs as well as the real labels do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.pairs import pairs_of

SHUFFLES = 999
"""Number of shuffles in a permutation test."""
SHUFFLED_PHOTOS = 300
"""Maximum number of photos in a permutation test; more photos are sampled."""


def chance_of_shuffled(
    embeddings: Tensor, labels: NDArray[np.int64], distance: Distance, rng: np.random.Generator
) -> float:
    """The p-value of a permutation test, 0 … 1: the probability that random labels have same pairs at least as near.

    The statistic is the mean rank of the same pairs among all pairs (Mann-Whitney U). The labels are shuffled
    `SHUFFLES` times; the p-value is (1 + number of shuffles that do as well) / (1 + `SHUFFLES`) (Phipson, Smyth 2010).

    Args:
        embeddings: embeddings `[N, D]` of the photos.
        labels: int64 labels `[N]` of the photos.
        distance: distance between embeddings.
        rng: random generator of the shuffles and of the sample of photos.
    """
    if len(labels) > SHUFFLED_PHOTOS:
        drawn = rng.permutation(len(labels))[:SHUFFLED_PHOTOS]
        embeddings, labels = embeddings[torch.from_numpy(drawn)], labels[drawn]
    pairs = pairs_of(embeddings, labels, distance, rng, most=len(labels) ** 2)
    first, second = np.triu_indices(len(labels), k=1)
    _, place, ties = np.unique(pairs.distance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(ties) - (ties - 1) / 2)[place]
    real = rank[pairs.same].sum()  # a shuffle keeps the number of same pairs, so the sum orders like the mean
    shuffled = (rng.permutation(labels) for _ in range(SHUFFLES))
    as_near = sum(rank[other[first] == other[second]].sum() <= real + 1e-9 * abs(real) for other in shuffled)
    return float((1 + as_near) / (1 + SHUFFLES))
