"""Distance `euclidean` against SciPy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from siamesekit.distances.euclidean import Euclidean, euclidean


def rows(seed: int, count: int = 7, dim: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim)))


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_scipy(seed: int, count: int, dim: int) -> None:
    a, b = rows(seed, count, dim), rows(seed + 1, 3, dim)
    np.testing.assert_allclose(Euclidean()(a[:, None], b[None]), cdist(a, b), rtol=1e-12)


def test_gradient_is_right_where_points_are_apart() -> None:
    assert torch.autograd.gradcheck(euclidean, (rows(0).requires_grad_(), rows(1).requires_grad_()))


def test_gradient_at_zero_distance_is_zero_not_nan() -> None:
    a, b = rows(0).requires_grad_(), rows(1)
    b[2] = a[2].detach()
    distance = euclidean(a, b)
    distance.sum().backward()
    assert distance[2] == 0
    assert torch.equal(a.grad[2], torch.zeros(5, dtype=torch.float64))
    others = [row for row in range(7) if row != 2]
    np.testing.assert_allclose(a.grad[others].norm(dim=1), 1, rtol=1e-12)
