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
@pytest.mark.parametrize("remembered", [0, 4, 7])
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
