"""`pairwise`: the distance's own, or row by row."""

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.distances.cosine import Cosine
from siamesekit.distances.distance import Distance, pairwise
from siamesekit.distances.euclidean import Euclidean
from siamesekit.distances.squared_euclidean import SquaredEuclidean


def manhattan(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().sum(-1)


class WithOwn:
    """A distance whose `pairwise` can be told from its rows."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        raise AssertionError("its own pairwise is there")

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.full((len(a), len(b)), 7.0)


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine(), manhattan], ids=str)
def test_equals_broadcasting(distance: Distance) -> None:
    a, b = torch.randn(6, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    matrix = pairwise(distance, a, b)
    assert matrix.dtype == torch.float64
    np.testing.assert_allclose(matrix, distance(a[:, None], b[None]), atol=1e-12)


def test_takes_the_distances_own_pairwise() -> None:
    assert torch.equal(pairwise(WithOwn(), torch.randn(2, 3), torch.randn(4, 3)), torch.full((2, 4), 7.0))


def test_gradient_flows_through_the_rows() -> None:
    a, b = torch.randn(3, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, y: pairwise(Euclidean(), x, y), (a.requires_grad_(), b.requires_grad_()))


def test_no_embeddings_make_an_empty_matrix() -> None:
    assert pairwise(Cosine(), torch.randn(0, 3), torch.randn(4, 3)).tolist() == []
    assert pairwise(Cosine(), torch.randn(2, 3), torch.randn(0, 3)).tolist() == [[], []]
