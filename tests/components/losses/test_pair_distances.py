"""Distances of listed pairs: row by row or from the matrix, the same values and gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses import pair_distances as module
from siamesekit.components.losses.pair_distances import pair_distances


def listed(pairs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings and pairs, many named more than once, whose anchors are few."""
    draw = torch.Generator().manual_seed(0)
    embeddings = torch.randn(9, 5, generator=draw, dtype=torch.float64).requires_grad_()
    first = torch.tensor([1, 4, 8])[torch.randint(3, (pairs,), generator=draw)]
    second = (first + torch.randint(1, 9, (pairs,), generator=draw)) % 9
    return embeddings, first, second


@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine()], ids=lambda d: type(d).__name__)
def test_both_ways_agree_with_a_loop(distance: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, first, second = listed(40)
    weight = torch.arange(40, dtype=torch.float64)
    expected = torch.stack([distance(embeddings[i], embeddings[j]) for i, j in zip(first, second, strict=True)])
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), embeddings)
    matrices = []
    monkeypatch.setattr(module, "pairwise", lambda d, a, b: matrices.append(len(a)) or d.pairwise(a, b))
    for up_to in (10**9, 0):
        monkeypatch.setattr(module, "ROWS_UP_TO", up_to)
        found = pair_distances(distance, embeddings, first, second)
        (gradient,) = torch.autograd.grad((found * weight).sum(), embeddings)
        np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-10)
    assert matrices == [3]  # of the three anchors, the second time


def test_few_pairs_make_no_matrix_and_half_precision_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_UP_TO", 0)
    monkeypatch.setattr(module, "pairwise", lambda *_: pytest.fail("a matrix of 27 distances, for 25 coordinates"))
    embeddings, _, second = listed(5)
    first = torch.tensor([1, 4, 8, 1, 4])
    found = pair_distances(Euclidean(), embeddings.detach().bfloat16(), first, second)
    assert found.dtype == torch.float32
    plain = embeddings.detach().bfloat16().double()
    np.testing.assert_allclose(found, (plain[first] - plain[second]).square().sum(1).sqrt(), rtol=1e-6)


@pytest.mark.parametrize("rows_up_to", [0, 10**9], ids=["by matrix", "by rows"])
def test_autocast_reaches_neither_rows_nor_matrix(rows_up_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distance that rows take by a product: under autocast it would be of 8 bits."""

    class Product:
        def __call__(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.bmm(a[:, None], b[..., None])[:, 0, 0]

        def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
            return a @ b.T

    monkeypatch.setattr(module, "ROWS_UP_TO", rows_up_to)
    embeddings, first, second = listed(40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pair_distances(Product(), embeddings.detach().float(), first, second)
        assert torch.is_autocast_enabled("cpu")
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, (embeddings[first] * embeddings[second]).sum(1).detach(), rtol=1e-5, atol=1e-6)


def test_no_pairs_have_no_distances() -> None:
    embeddings, none, _ = listed(0)
    found = pair_distances(Euclidean(), embeddings, none, none)
    found.sum().backward()
    assert found.shape == (0,)
    assert not embeddings.grad.any()
