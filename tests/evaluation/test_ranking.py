"""How triplets are ranked, against loops over all of them."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers import rows_of
from oracles import every_triplet, ordered_pairs, ranked_right, squared_distances, triplets_of
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses import batch_all
from siamesekit.components.tuples import Pairs, Triplets, as_triplets
from siamesekit.evaluation import ranking as module
from siamesekit.evaluation.ranking import ranking, share_ranked_right, triplet_accuracy, triplet_distances

Floats = NDArray[np.float64]


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
    d = squared_distances(embeddings)
    right = ranked_right(d, triplets_of(labels))
    positive, negative = ([d[pair] for pair in ordered_pairs(labels, same)] for same in (True, False))
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
    d = squared_distances(embeddings)
    positive = [d[pair] for pair in rows_of((pairs.anchor, pairs.positive))]
    negative = [d[pair] for pair in rows_of((pairs.other_anchor, pairs.negative))]
    right = ranked_right(d, rows_of(triplets))
    assert 0 < sum(right) < len(right)
    expected = [sum(values) / len(values) for values in (right, positive, negative)]
    assert ranking(embeddings, torch.zeros(6), pairs, distance) == pytest.approx(expected, rel=1e-12)
    only = Pairs(index([0]), index([1]), index([], dtype=torch.int64), index([], dtype=torch.int64))
    accuracy, d_ap, d_an = ranking(embeddings, torch.zeros(6), only, distance)
    assert d_ap == pytest.approx(d[0, 1])
    assert math.isnan(accuracy)
    assert math.isnan(d_an)


def test_triplet_accuracy_is_strict() -> None:
    assert triplet_accuracy(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 2.0])).tolist() == [1, 0, 0]


def test_triplet_accuracy_takes_distances_from_any_device() -> None:
    class Elsewhere(Tensor):
        """A tensor that, like one on a GPU, NumPy cannot read before it is on the CPU."""

        def numpy(self) -> Floats:  # type: ignore[override]
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

        def cpu(self) -> Tensor:  # type: ignore[override]
            return self.as_subclass(Tensor)

    d_ap, d_an = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])
    assert triplet_accuracy(d_ap.as_subclass(Elsewhere), d_an.as_subclass(Elsewhere)).tolist() == [1, 0]


@pytest.mark.parametrize("bisect_from", [10**9, 0], ids=["by comparison", "by bisection"])
def test_share_ranked_right_is_strict(monkeypatch: pytest.MonkeyPatch, bisect_from: int) -> None:
    monkeypatch.setattr(batch_all, "BISECT_FROM", bisect_from)
    distances = torch.tensor([[0, 0.5, 0.5, 0.75], [0.25, 0, 0.1, 9], [9, 9, 0, 9], [9, 9, 9, 0]])
    labels = torch.tensor([0, 0, 1, 2])  # two triplets of each of the first two photos; a tie, right, wrong, right
    assert share_ranked_right(distances, labels).item() == 0.5
    assert share_ranked_right(distances, torch.arange(4)).isnan()
