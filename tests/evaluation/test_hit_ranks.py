"""Hits of long rankings against a plain sort of the distances themselves."""

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation import hit_ranks as module
from siamesekit.evaluation.hit_ranks import hit_ranks
from siamesekit.evaluation.retrieval import retrieval_metrics

DISTANCES = [Euclidean(), SquaredEuclidean(), Cosine(), Dot()]


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROM", 1)
    monkeypatch.setattr(module, "SCORES", 4000)
    monkeypatch.setattr(module, "VALUES", 3000)


def some_photos(kind: str) -> Tensor:
    """200 embeddings `[200, D]`: spread, of length 1, on a grid with many equal distances, or nearly alike."""
    rng = np.random.default_rng(3)
    if kind == "grid":
        return torch.from_numpy(rng.integers(0, 3, (200, 4))).float()
    values = torch.from_numpy(rng.normal(size=(200, 40))).float()
    if kind == "unit":
        return torch.nn.functional.normalize(values)
    return values * 1e-4 + 1 if kind == "tiny ball" else values


def by_sort(embeddings: Tensor, labels: Tensor, distance: Distance, k: int) -> Tensor:
    """Whether each of the first k ranks is a hit, `[N, k]`: every row of distances, sorted by distance, then index."""
    found = []
    for query, embedding in enumerate(embeddings):
        copies = embedding.expand(len(embeddings), -1).contiguous()
        values = distance(copies, embeddings).tolist()
        order = sorted((value, photo) for photo, value in enumerate(values) if photo != query)
        found.append([bool(labels[photo] == labels[query]) for _, photo in order[:k]])
    return torch.tensor(found)


@pytest.mark.medium
@pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("kind", ["spread", "unit", "grid", "tiny ball"])
def test_equals_a_sort_of_the_distances(kind: str, distance: Distance) -> None:
    embeddings = some_photos(kind)
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 3, 200))
    for k in (60, 199):
        found = hit_ranks(embeddings, labels, torch.arange(200), k, distance)
        if found is not None:
            assert torch.equal(found, by_sort(embeddings, labels, distance, k))
    assert found is not None or kind in {"grid", "tiny ball"}


@pytest.mark.medium
@pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: type(each).__name__)
def test_photos_that_only_the_distance_can_order_are_compared_by_it(
    distance: Distance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the photos are copies of the others up to the last bits; without the comparison, ranks are wrong."""
    base = some_photos("unit")[:100]
    embeddings = torch.cat([base, base * (1 + 3e-7 * torch.rand(100, 40, generator=torch.Generator().manual_seed(0)))])
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 2, 200))
    expected = by_sort(embeddings, labels, distance, 120)
    found = hit_ranks(embeddings, labels, torch.arange(200), 120, distance)
    assert found is not None
    assert torch.equal(found, expected)
    monkeypatch.setattr(module, "_undecided", lambda hit, *_: np.zeros_like(hit))
    wrong = hit_ranks(embeddings, labels, torch.arange(200), 120, distance)
    assert wrong is not None
    assert not torch.equal(wrong, expected)


@pytest.mark.parametrize("width", [0.0, 0.02, 0.3, 5.0])
def test_undecided_are_those_whose_range_meets_that_of_a_photo_of_the_other_kind(width: float) -> None:
    """Against every pair of photos; ranges of no width, of few photos, of many, and of all."""
    rng = np.random.default_rng(4)
    scores = np.sort(np.round(rng.uniform(0, 3, (20, 40)), 2), axis=1)
    scores[5:, -1] = np.inf
    hit = rng.random((20, 40)) < rng.uniform(0, 1, (20, 1))
    least, most = scores * (1 - width / 9) - width, scores * (1 + width / 9) + width
    expected = np.zeros_like(hit)
    for q in range(20):
        for i in range(40):
            before = [most[q, j] >= least[q, i] for j in range(i) if hit[q, j] != hit[q, i]]
            after = [least[q, j] <= most[q, i] for j in range(i + 1, 40) if hit[q, j] != hit[q, i]]
            expected[q, i] = most[q, i] < np.inf and any(before + after)
    assert expected.any()
    assert not expected.all()
    np.testing.assert_array_equal(module._undecided(hit, least, most), expected)


def test_what_has_no_bound_or_is_faster_by_neighbours_is_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = some_photos("spread"), torch.arange(200) % 2
    queries, lost = torch.arange(200), some_photos("spread")
    lost[5, 3] = torch.nan
    for unknown in (embeddings.double(), embeddings * 1e20, lost, torch.zeros(200, 3)):
        assert hit_ranks(unknown, labels, queries, 99, Euclidean()) is None
    assert hit_ranks(embeddings, labels, queries, 99, Manhattan()) is None
    assert hit_ranks(embeddings, labels, queries, 99, Euclidean()) is not None
    monkeypatch.setattr(module, "FROM", 99 * 200 + 1)
    assert hit_ranks(embeddings, labels, queries, 99, Euclidean()) is None


@pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: type(each).__name__)
def test_the_figures_are_those_of_the_neighbours(distance: Distance, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = some_photos("spread"), torch.arange(200) % 3
    found = retrieval_metrics(embeddings, labels, distance)
    monkeypatch.setattr("siamesekit.evaluation.retrieval.hit_ranks", lambda *_: None)
    expected = retrieval_metrics(embeddings, labels, distance)
    for ours, theirs in zip(found[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)
