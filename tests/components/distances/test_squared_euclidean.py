"""Distance `squared-euclidean` against NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from helpers import points
from oracles import squared_distances
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean, squared_euclidean


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_the_sum_of_squared_differences(seed: int, count: int, dim: int) -> None:
    a, b = points(seed, count, dim), points(seed + 1, count, dim)
    expected = [sum((float(x) - float(y)) ** 2 for x, y in zip(u, v, strict=True)) for u, v in zip(a, b, strict=True)]
    np.testing.assert_allclose(squared_euclidean(a, b), expected, rtol=1e-12)


def test_is_two_minus_two_cosines_for_unit_embeddings() -> None:
    a, b = F.normalize(points(0)), F.normalize(points(1))
    cosines = np.einsum("nd,nd->n", a.numpy(), b.numpy())
    np.testing.assert_allclose(squared_euclidean(a, b), 2 - 2 * cosines, atol=1e-12)


def test_is_at_most_two_for_unit_embeddings_without_negative_coordinates() -> None:
    a, b = F.normalize(points(0, 500).clamp_min(0) + 1e-9), F.normalize(points(1, 500).clamp_min(0) + 1e-9)
    assert squared_euclidean(a, b).max() <= 2 + 1e-12
    assert squared_euclidean(torch.eye(2)[0], torch.eye(2)[1]) == 2


def test_gradient_is_right_also_at_zero_distance() -> None:
    a = points(0).requires_grad_()
    assert torch.autograd.gradcheck(squared_euclidean, (a, points(1).requires_grad_()))
    squared_euclidean(a, a.detach()).sum().backward()
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_pairwise_equals_broadcasting() -> None:
    a, b = points(0, 6), points(1, 4)
    expected = squared_distances(a, b)
    np.testing.assert_allclose(SquaredEuclidean().pairwise(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(SquaredEuclidean()(a[:, None], b[None]), expected, rtol=1e-12)


@pytest.mark.parametrize("length", [1.0, 1000.0])
def test_pairwise_in_float32_is_never_negative_and_as_exact_as_documented(length: float) -> None:
    a = (F.normalize(points(2, 200, 256)) * length).float()
    matrix = SquaredEuclidean().pairwise(a, a)
    exact = ((a.double()[:, None] - a.double()[None]) ** 2).sum(-1)
    assert matrix.min() >= 0
    assert (matrix - exact).abs().max() < 1e-6 * (2 * length**2)
