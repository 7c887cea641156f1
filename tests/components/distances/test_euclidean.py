"""Distance `euclidean` against SciPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from helpers import points
from siamesekit.components.distances.euclidean import Euclidean, euclidean


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_scipy(seed: int, count: int, dim: int) -> None:
    a, b = points(seed, count, dim), points(seed + 1, 3, dim)
    np.testing.assert_allclose(Euclidean()(a[:, None], b[None]), cdist(a, b), rtol=1e-12)


def test_gradient_is_right_where_points_are_apart() -> None:
    assert torch.autograd.gradcheck(euclidean, (points(0).requires_grad_(), points(1).requires_grad_()))


def test_gradient_at_zero_distance_is_zero_not_nan() -> None:
    a, b = points(0).requires_grad_(), points(1)
    b[2] = a[2].detach()
    distance = euclidean(a, b)
    distance.sum().backward()
    assert distance[2] == 0
    assert torch.equal(a.grad[2], torch.zeros(5, dtype=torch.float64))
    others = [row for row in range(7) if row != 2]
    np.testing.assert_allclose(a.grad[others].norm(dim=1), 1, rtol=1e-12)


def test_pairwise_equals_scipy_and_its_gradient_is_right() -> None:
    a, b = points(2, 6), points(3, 4)
    np.testing.assert_allclose(Euclidean().pairwise(a, b), cdist(a, b), rtol=1e-12)
    assert torch.autograd.gradcheck(Euclidean().pairwise, (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("length", [1.0, 1000.0])
def test_pairwise_in_float32_is_as_exact_as_documented(length: float) -> None:
    """Pairs far apart, near (1e-3) and the same; `e` of the docstring is 2e-6 for two rows of length 1."""
    a = F.normalize(points(2, 200, 256))
    a = (torch.cat([a, a[:50], F.normalize(a[:50] + 6e-5 * points(3, 50, 256))]) * length).float()
    exact = torch.from_numpy(cdist(a.double(), a.double()))
    wrong = (Euclidean().pairwise(a, a).double() - exact).abs()
    e = 1e-6 * 2 * length**2
    assert exact[exact > 0].min() < 2e-3 * length
    assert (wrong <= torch.minimum(e / exact, torch.tensor(e).sqrt())).all()


def test_pairwise_at_zero_distance_has_a_finite_gradient_which_is_zero_where_the_result_is() -> None:
    a = torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]], dtype=torch.float64, requires_grad=True)
    matrix = Euclidean().pairwise(a, a)
    np.testing.assert_allclose(matrix.detach(), [[0, 0, 5], [0, 0, 5], [5, 5, 0]], atol=1e-150)
    (gradient,) = torch.autograd.grad(matrix[:2, :2].sum() + matrix[2, 2], a, retain_graph=True)
    assert torch.equal(gradient, torch.zeros_like(a))
    (gradient,) = torch.autograd.grad(matrix[0, 2], a)
    np.testing.assert_allclose(gradient, [[-0.6, -0.8], [0, 0], [0.6, 0.8]], rtol=1e-12)


def test_an_embedding_that_is_not_a_number_is_at_no_distance() -> None:
    lost, there = torch.tensor([torch.nan, 1.0]), torch.tensor([[1.0, 1.0], [torch.nan, 1.0]])
    assert euclidean(lost, there).isnan().all()
    assert Euclidean().pairwise(lost[None], there).isnan().all()
