"""How triplets are ranked, against loops over all of them."""

import math
from itertools import product

import pytest
import torch

from siamesekit.distances.cosine import Cosine
from siamesekit.distances.distance import Distance
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.engine import ranking as module
from siamesekit.engine.ranking import ranking, triplet_distances
from siamesekit.triplets import Pairs, Triplets, as_triplets


def every_triplet(labels: list[int]) -> Triplets:
    every = range(len(labels))
    rows = [(a, p, n) for a, p, n in product(every, every, every) if a != p and labels[a] == labels[p] != labels[n]]
    return Triplets(*torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T)


@pytest.mark.parametrize("held", [1, 7, 100, 1 << 24])
@pytest.mark.parametrize("distance", [SquaredEuclidean(), Cosine()], ids=lambda distance: type(distance).__name__)
def test_distances_are_the_same_bits_however_many_are_held(
    monkeypatch: pytest.MonkeyPatch, held: int, distance: Distance
) -> None:
    embeddings = torch.randn(9, 33, generator=torch.Generator().manual_seed(0))
    triplets = every_triplet([0, 0, 0, 1, 1, 1, 2, 2, 3])
    expected = [distance(embeddings[triplets.anchor], embeddings[other]) for other in triplets[1:]]
    monkeypatch.setattr(module, "HELD", held)
    found = triplet_distances(embeddings, triplets, distance)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    none = triplet_distances(embeddings, Triplets(*torch.zeros(3, 0, dtype=torch.int64)), distance)
    assert [part.shape for part in none] == [(0,), (0,)]


def test_no_more_is_held_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def watched(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        sizes.append(a.numel())
        return (a - b).square().sum(-1)

    monkeypatch.setattr(module, "HELD", 100)
    triplet_distances(torch.randn(9, 33), every_triplet([0, 0, 0, 1, 1, 1, 2, 2, 3]), watched)
    assert max(sizes) == 99


def test_ranking_without_triplets_is_over_all_of_them_and_over_pairs() -> None:
    labels = [0, 0, 0, 1, 1, 2]
    embeddings = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    d = ((embeddings[:, None] - embeddings) ** 2).sum(-1).tolist()
    a, p, n = (index.tolist() for index in every_triplet(labels))
    right = [d[i][j] < d[i][k] for i, j, k in zip(a, p, n, strict=True)]
    pairs = [(i, j) for i, j in product(range(6), range(6)) if i != j]
    positive = [d[i][j] for i, j in pairs if labels[i] == labels[j]]
    negative = [d[i][j] for i, j in pairs if labels[i] != labels[j]]
    expected = [sum(values) / len(values) for values in (right, positive, negative)]
    assert 0 < expected[0] < 1
    assert ranking(embeddings, torch.tensor(labels), None, SquaredEuclidean()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]], ids=["no positive pair", "no negative"])
def test_ranking_without_any_triplet_is_unknown(labels: list[int]) -> None:
    none = every_triplet(labels)
    for triplets in (None, none):
        assert math.isnan(ranking(torch.randn(3, 2), torch.tensor(labels), triplets, SquaredEuclidean())[0])


def test_ranking_of_pairs_is_over_the_triplets_that_they_make_and_the_pairs() -> None:
    embeddings = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    index = torch.tensor
    pairs = Pairs(index([0, 1, 0]), index([1, 0, 2]), index([0, 0, 1, 3]), index([3, 4, 5, 0]))
    distance = SquaredEuclidean()
    triplets = as_triplets(pairs)
    assert len(triplets.anchor) == 2 * 2 + 1
    d = ((embeddings[:, None] - embeddings) ** 2).sum(-1)
    positive = [d[a, p].item() for a, p in zip(pairs.anchor, pairs.positive, strict=True)]
    negative = [d[a, n].item() for a, n in zip(pairs.other_anchor, pairs.negative, strict=True)]
    right = [d[a, p].item() < d[a, n].item() for a, p, n in zip(*triplets, strict=True)]
    assert 0 < sum(right) < len(right)
    expected = [sum(values) / len(values) for values in (right, positive, negative)]
    assert ranking(embeddings, torch.zeros(6), pairs, distance) == pytest.approx(expected, rel=1e-12)
    only = Pairs(index([0]), index([1]), index([], dtype=torch.int64), index([], dtype=torch.int64))
    accuracy, d_ap, d_an = ranking(embeddings, torch.zeros(6), only, distance)
    assert d_ap == pytest.approx(d[0, 1].item())
    assert math.isnan(accuracy)
    assert math.isnan(d_an)
