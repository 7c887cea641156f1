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
    assert torch.autograd.gradcheck(lambda x, y: pairwise(manhattan, x, y), (a.requires_grad_(), b.requires_grad_()))


def test_no_embeddings_make_an_empty_matrix() -> None:
    assert pairwise(Cosine(), torch.randn(0, 3), torch.randn(4, 3)).tolist() == []
    assert pairwise(Cosine(), torch.randn(2, 3), torch.randn(0, 3)).tolist() == [[], []]


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine(), manhattan], ids=str)
def test_lower_precision_and_autocast_do_not_reach_in(distance: Distance) -> None:
    a, b = torch.randn(6, 64), torch.randn(4, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        full, low = pairwise(distance, a, b), pairwise(distance, a.bfloat16(), b.bfloat16())
    assert (full.dtype, low.dtype) == (torch.float32, torch.float32)
    np.testing.assert_allclose(full, distance(a.double()[:, None], b.double()[None]), rtol=1e-5)
    rounded = [rows.bfloat16().double() for rows in (a, b)]
    np.testing.assert_allclose(low, distance(rounded[0][:, None], rounded[1][None]), rtol=1e-5)
