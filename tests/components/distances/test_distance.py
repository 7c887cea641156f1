"""`pairwise`: the distance's own, or row by row; unit rows, and the ranges that distances declare."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import (
    Distance,
    pairwise,
    range_of,
    unit,
)
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.registry import DISTANCES


def manhattan(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().sum(-1)


class WithOwn:
    """A distance whose `pairwise` can be told from its rows."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        raise AssertionError("its own pairwise is there")

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.full((len(a), len(b)), 7.0)


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine(), manhattan])
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


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine(), manhattan])
def test_lower_precision_and_autocast_do_not_reach_in(distance: Distance) -> None:
    a, b = torch.randn(6, 64), torch.randn(4, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        full, low = pairwise(distance, a, b), pairwise(distance, a.bfloat16(), b.bfloat16())
    assert (full.dtype, low.dtype) == (torch.float32, torch.float32)
    np.testing.assert_allclose(full, distance(a.double()[:, None], b.double()[None]), rtol=1e-5)
    rounded = [rows.bfloat16().double() for rows in (a, b)]
    np.testing.assert_allclose(low, distance(rounded[0][:, None], rounded[1][None]), rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_unit_rows_have_length_one_and_a_zero_row_stays_zero(dtype: torch.dtype) -> None:
    """Also in float16, where 1e-8 is 0; the gradient at 0 is up to 1e8, for which float16 has no number."""
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-2e-4, 0.0]]).to(dtype).requires_grad_()
    found = unit(rows)
    np.testing.assert_allclose(found.detach(), [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    found.sum().backward()
    assert not rows.grad.isnan().any()
    assert dtype == torch.float16 or torch.isfinite(rows.grad).all()


def test_unit_rows_are_those_of_cosine_similarity() -> None:
    """One bound for the distance, its matrix, the retrieval's scan, and the losses of classes."""
    rows = torch.tensor([[1e-7, 0.0], [1e-8, 0.0], [1e-9, 0.0], [1e-30, 0.0]], dtype=torch.float64)
    one = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    expected = torch.nn.functional.cosine_similarity(rows, one)
    np.testing.assert_allclose((unit(rows) * one).sum(1), expected, rtol=1e-12)
    np.testing.assert_allclose(Cosine().pairwise(rows, one)[:, 0], 1 - expected, rtol=1e-12)
    np.testing.assert_allclose(expected, [1, 1, 0.1, 1e-22], rtol=1e-12)


RANGED = ["cosine", "dot", "euclidean", "squared-euclidean", "manhattan"]


@pytest.mark.parametrize("name", RANGED)
def test_values_are_in_the_range_that_a_distance_declares_and_come_near_its_ends(name: str) -> None:
    distance = DISTANCES.build(name)
    one = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=1)
    several = torch.cat([one, -one])
    for unit_length, embeddings in ((True, several), (False, 1000 * several)):
        least, greatest = range_of(distance, unit_length)  # type: ignore[misc]
        values = distance(embeddings[:, None], embeddings)
        assert values.min() >= least - 1e-9
        assert values.max() <= greatest + 1e-9
        assert values.min() < least + 1e-6 or least == -math.inf
        assert values.max() > greatest - 1e-6 or greatest == math.inf


def test_a_distance_that_declares_no_range_has_none() -> None:
    assert range_of(lambda a, b: (a - b).sum(-1)) is None
    assert range_of(DISTANCES.build("pml/lp"), unit_length=True) is None
