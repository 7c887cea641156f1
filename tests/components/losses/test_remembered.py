"""Distances of a batch and a memory against those of one plain matrix."""

import pytest
import torch

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.remembered import remembered_distances


@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine(), Manhattan()])
@pytest.mark.parametrize("remembered", [0, 4, 6, 7])
def test_the_values_and_the_gradient_of_the_batch_are_those_of_all_distances(
    distance: Distance, remembered: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()
    upstream = torch.randn(7, 7, generator=generator, dtype=torch.float64)
    batch = 7 - remembered
    expected = pairwise(distance, embeddings, embeddings)
    found = remembered_distances(distance, embeddings, remembered)
    assert torch.equal(found.every, expected)
    assert torch.equal(found.of_batch, expected[:batch])
    for values, plain, weights in (
        (found.every, expected, upstream),
        (found.of_batch, expected[:batch], upstream[:batch]),
    ):
        (ours,) = torch.autograd.grad((values * weights).sum(), embeddings, retain_graph=True)
        (theirs,) = torch.autograd.grad((plain * weights).sum(), embeddings, retain_graph=True)
        torch.testing.assert_close(ours[:batch], theirs[:batch], rtol=1e-12, atol=1e-12)
        assert not ours[batch:].any()


class Ahead(Distance):
    """Σ max(b − a, 0)²: not symmetric, so that both directions count."""

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (b - a).clamp(min=0).square().sum(-1)


@pytest.mark.parametrize("remembered", [0, 1, 4, 5])
def test_the_gradient_of_both_results_is_that_of_a_loop_over_pairs(remembered: int) -> None:
    """In float64, with a distance that has a direction; the remembered embeddings are constants."""
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)
    batch, distance = 5 - remembered, Ahead()
    found = remembered_distances(distance, embeddings, remembered)
    (ours,) = torch.autograd.grad(
        (found.every * weights[0]).sum() + (found.of_batch * weights[1, :batch]).sum(), embeddings
    )
    rows = [row if number < batch else row.detach() for number, row in enumerate(embeddings)]
    total = embeddings.sum() * 0
    for one in range(5):
        for other in range(5):
            weight = weights[0, one, other] + (weights[1, one, other] if one < batch else 0)
            total = total + weight * distance(rows[one], rows[other])
    (theirs,) = torch.autograd.grad(total, embeddings)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
