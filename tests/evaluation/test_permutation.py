"""The permutation test against all ways of dealing the labels."""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation.permutation import chance_of_shuffled


def test_shuffled_labels_do_as_well_as_often_as_all_shuffles_tell() -> None:
    """Against all ways of dealing six photos to two individuals, by their pairs' mean distance rank."""
    rng = np.random.default_rng(2)
    embeddings, labels = torch.from_numpy(rng.normal(size=(6, 2))), np.array([0, 0, 0, 1, 1, 1])
    rows, (i, j) = embeddings.numpy(), np.triu_indices(6, k=1)
    ranks = ((rows[i] - rows[j]) ** 2).sum(-1).argsort().argsort()

    def statistic(dealt: NDArray[np.int64]) -> int:
        return int(ranks[dealt[i] == dealt[j]].sum())

    every = [np.isin(np.arange(6), chosen).astype(np.int64) for chosen in combinations(range(6), 3)]
    exact = np.mean([statistic(dealt) <= statistic(labels) for dealt in every])
    found = chance_of_shuffled(embeddings, labels, SquaredEuclidean(), np.random.default_rng(0))
    assert found == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 999) ** 0.5 + 0.001)
    assert 0 < exact < 1
