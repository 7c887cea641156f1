"""Distance `manhattan` against SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from scipy.spatial.distance import cdist

from helpers import points
from siamesekit.components.distances.manhattan import Manhattan, manhattan


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_scipy(seed: int, count: int, dim: int) -> None:
    a, b = points(seed, count, dim), points(seed + 1, 3, dim)
    np.testing.assert_allclose(Manhattan()(a[:, None], b[None]), cdist(a, b, "cityblock"), rtol=1e-12)
    np.testing.assert_allclose(Manhattan().pairwise(a, b), cdist(a, b, "cityblock"), rtol=1e-12)


def test_equals_pytorch_metric_learning() -> None:
    a, b = points(0), points(1, 4)
    theirs = LpDistance(p=1, normalize_embeddings=False)(a, b)
    np.testing.assert_allclose(Manhattan().pairwise(a, b), theirs, rtol=1e-12)


def test_gradients_are_right_where_no_coordinates_are_equal() -> None:
    assert torch.autograd.gradcheck(manhattan, (points(0).requires_grad_(), points(1).requires_grad_()))
    assert torch.autograd.gradcheck(Manhattan().pairwise, (points(0).requires_grad_(), points(1, 4).requires_grad_()))


def test_an_equal_coordinate_has_no_gradient_and_the_others_theirs() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[1.0, 5.0, -3.0]], dtype=torch.float64)
    for of in (manhattan, Manhattan().pairwise):
        (gradient,) = torch.autograd.grad(of(a, b).sum(), a)
        assert gradient.tolist() == [[0.0, -1.0, 1.0]]
        (gradient,) = torch.autograd.grad(of(a, a.detach()).sum(), a)
        assert gradient.tolist() == [[0.0, 0.0, 0.0]]


def test_pairwise_gradient_against_the_same_embeddings_equals_that_of_broadcasting() -> None:
    """Both arguments are the same tensor then, as in a batch."""
    a, weight = points(2, 9).requires_grad_(), points(3, 9, 9)
    (found,) = torch.autograd.grad((Manhattan().pairwise(a, a) * weight).sum(), a)
    (expected,) = torch.autograd.grad((manhattan(a[:, None], a[None]) * weight).sum(), a)
    assert expected.abs().max() > 1
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("length", [1e-3, 1.0, 1000.0])
def test_pairwise_in_float32_is_relatively_exact_near_zero_too(length: float) -> None:
    a = points(2, 200, 256) * length
    a = torch.cat([a, a[:50], a[:50] + 1e-4 * length * points(3, 50, 256)]).float()
    exact = cdist(a.double(), a.double(), "cityblock")
    np.testing.assert_allclose(Manhattan().pairwise(a, a), exact, rtol=1e-5, atol=0)
