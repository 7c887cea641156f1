"""Distance `cosine` against SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from helpers import points
from siamesekit.components.distances.cosine import Cosine, cosine


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_scipy(seed: int, count: int, dim: int) -> None:
    a, b = points(seed, count, dim), points(seed + 1, 3, dim)
    np.testing.assert_allclose(Cosine()(a[:, None], b[None]), cdist(a, b, "cosine"), atol=1e-12)


def test_gradient_is_right() -> None:
    assert torch.autograd.gradcheck(cosine, (points(0).requires_grad_(), points(1).requires_grad_()))


def test_length_does_not_matter() -> None:
    a, b = points(0), points(1)
    np.testing.assert_allclose(cosine(3 * a, 0.1 * b), cosine(a, b), atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, -7.0])
def test_stays_between_zero_and_two_in_float32(factor: float) -> None:
    a = points(3, 5000, 32).float()
    distance = cosine(a, factor * a)
    assert distance.min() >= 0
    assert distance.max() <= 2
    np.testing.assert_allclose(distance, 0 if factor > 0 else 2, atol=1e-6)


def test_a_zero_vector_is_at_one_and_its_gradient_is_finite() -> None:
    zero = torch.zeros(7, 5, dtype=torch.float64, requires_grad=True)
    distance = cosine(zero, points(0))
    distance.sum().backward()
    assert torch.equal(distance, torch.ones(7, dtype=torch.float64))
    assert torch.isfinite(zero.grad).all()


def test_a_zero_vector_is_at_one_in_half_precision_too() -> None:
    zero, one = torch.zeros(1, 4).half(), torch.ones(1, 4).half()
    assert [cosine(zero, other).tolist() for other in (zero, one)] == [[1], [1]]
    assert Cosine().pairwise(zero, torch.cat([zero, one])).tolist() == [[1, 1]]


def test_gradient_at_zero_distance_is_zero() -> None:
    a = points(0).requires_grad_()
    cosine(a, a.detach()).sum().backward()
    assert a.grad.abs().max() < 1e-12


def test_pairwise_equals_scipy_and_its_gradient_is_right() -> None:
    a, b = points(2, 6), points(3, 4)
    np.testing.assert_allclose(Cosine().pairwise(a, b), cdist(a, b, "cosine"), atol=1e-12)
    assert torch.autograd.gradcheck(Cosine().pairwise, (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("length", [1e-3, 1.0, 1000.0])
def test_pairwise_in_float32_is_as_exact_as_documented(length: float) -> None:
    a = (points(4, 200, 256) * length).float()
    a = torch.cat([a, -3 * a[:50], a[:50]])
    matrix = Cosine().pairwise(a, a)
    assert matrix.min() >= 0
    assert matrix.max() <= 2
    np.testing.assert_allclose(matrix, cdist(a.double(), a.double(), "cosine"), rtol=0, atol=1e-6)


def test_pairwise_has_a_zero_vector_at_one_and_finite_gradients_at_zero_distance() -> None:
    a = torch.cat([torch.zeros(1, 5, dtype=torch.float64), points(5, 3)])
    a = torch.cat([a, a]).requires_grad_()
    matrix = Cosine().pairwise(a, a)
    assert torch.equal(matrix[0], torch.ones(8, dtype=torch.float64))
    assert matrix[1, 5] < 1e-15
    (gradient,) = torch.autograd.grad(matrix[1, 5], a, retain_graph=True)
    assert gradient.abs().max() < 1e-12
    matrix.sum().backward()
    assert torch.isfinite(a.grad).all()
