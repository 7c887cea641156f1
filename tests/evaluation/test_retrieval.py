"""Retrieval metrics against plain loops and pytorch-metric-learning's accuracy calculator."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor

from oracles import retrieval_figures, squared_distances
from siamesekit.components.distances import nearest as search
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation.ranking import triplet_accuracy
from siamesekit.evaluation.retrieval import RetrievalMetrics, per_query, retrieval_metrics

Floats = NDArray[np.float64]


def flat(found: RetrievalMetrics) -> Floats:
    """All figures, a column each: those without a k, then per k precision, recall, average precision."""
    by_k = [column[k] for k in found.precision_at for column in found[4:]]
    return np.stack([*found[:4], *by_k], 1)


def case(seed: int, photos: int, individuals: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(photos, 3))), torch.from_numpy(rng.integers(individuals, size=photos))


@pytest.mark.medium
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 8), st.booleans())
@settings(deadline=None)
def test_retrieval_equals_the_loop_with_ties_and_singletons(
    seed: int, photos: int, individuals: int, coarse: bool
) -> None:
    embeddings, labels = case(seed, photos, individuals)
    if coarse:
        embeddings = embeddings.round()  # many equal distances, exactly
    found = retrieval_metrics(embeddings, labels, SquaredEuclidean())
    distances = squared_distances(embeddings)
    expected = [retrieval_figures(distances, labels, query)[:2] for query in range(photos)]
    np.testing.assert_allclose(np.stack(found[:2], 1), expected, atol=1e-12)


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 8), st.booleans())
@settings(deadline=None)
def test_every_figure_equals_the_loop(seed: int, photos: int, individuals: int, coarse: bool) -> None:
    embeddings, labels = case(seed, photos, individuals)
    if coarse:
        embeddings = embeddings.round()
    distances = squared_distances(embeddings)
    for ranks in ((1,), (2, 30), (1, 3, 6)):
        found = flat(retrieval_metrics(embeddings, labels, SquaredEuclidean(), ranks))
        expected = [retrieval_figures(distances, labels, query, ranks) for query in range(photos)]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_individuals_of_very_different_size_are_ranked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.from_numpy(
        np.random.default_rng(0).permutation(np.repeat(np.arange(9), [1, 2, 2, 3, 5, 9, 20, 40, 70]))
    )
    embeddings = case(3, len(labels), 1)[0]
    distances = squared_distances(embeddings)
    monkeypatch.setattr("siamesekit.evaluation.retrieval.NEIGHBOURS", 300)
    monkeypatch.setattr("siamesekit.evaluation.retrieval.PER_QUERY", 3)
    found = flat(retrieval_metrics(embeddings, labels, SquaredEuclidean(), (1, 4)))
    expected = [retrieval_figures(distances, labels, query, (1, 4)) for query in range(len(labels))]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_retrieval_equals_pytorch_metric_learning() -> None:
    embeddings, labels = case(0, 300, 20)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
        kmeans_func=lambda *_: None,
        k="max_bin_count",
        device=torch.device("cpu"),
    )
    expected = calculator.get_accuracy(embeddings, labels)
    found = retrieval_metrics(embeddings, labels, Euclidean())
    assert found.precision_at_1.mean() == pytest.approx(expected["precision_at_1"], abs=1e-12)
    assert found.map_at_r.mean() == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-12)
    assert found.r_precision.mean() == pytest.approx(expected["r_precision"], abs=1e-12)
    assert 0.01 < found.map_at_r.mean() < 0.5


def test_the_documented_example_gives_417_thousandths() -> None:
    relevances = [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    embeddings = torch.arange(11.0)[:, None]  # the query is photo 0, the others rank in their order
    labels = torch.tensor([1, *relevances])
    found = retrieval_metrics(embeddings, labels, Euclidean())
    assert found.map_at_r[0] == pytest.approx((1 + 2 / 3) / 4, abs=1e-12)
    assert round(found.map_at_r[0], 3) == 0.417
    assert found.precision_at_1[0] == 1
    of_hits = per_query(torch.tensor([relevances]).bool(), torch.tensor([4]), (1,))
    assert of_hits[0, :2].tolist() == [found.precision_at_1[0], found.map_at_r[0]]


def test_of_equal_distances_the_lower_index_ranks_first() -> None:
    same = torch.zeros(4, 2)
    assert retrieval_metrics(same, torch.tensor([0, 0, 1, 1]), SquaredEuclidean()).precision_at_1.tolist() == [
        1,
        1,
        0,
        0,
    ]


def test_a_photo_without_a_relevant_one_has_no_value() -> None:
    found = retrieval_metrics(torch.randn(4, 2), torch.tensor([0, 1, 1, 2]), SquaredEuclidean())
    assert np.isnan(found.precision_at_1).tolist() == [True, False, False, True]
    assert np.isnan(found.map_at_r).tolist() == [True, False, False, True]


@pytest.mark.parametrize("memory", [1, 10_000, 60_000])
def test_the_chunk_of_queries_does_not_matter(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = case(1, 60, 9)
    expected = retrieval_metrics(embeddings, labels, Euclidean())
    monkeypatch.setattr(search, "MEMORY", memory)
    found = retrieval_metrics(embeddings, labels, Euclidean())
    np.testing.assert_array_equal(flat(found), flat(expected))


def test_a_photo_that_is_no_number_ranks_last_and_is_never_a_hit() -> None:
    """The others' figures are those of all photos with the lost one far away; its own are 0, not those of its index."""
    place = torch.tensor([[0.0], [1.0], [torch.nan], [2.0], [7.0], [torch.inf]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    figures = retrieval_metrics(place, labels, Manhattan(), ranks=(1, 5))
    assert figures.precision_at_1.tolist() == [1, 1, 0, 0, 1, 0]
    # of the query at 0: 1, then 2, 7, then the infinite one, and last the one that is no number: one hit of two
    assert figures.map_at_r.tolist() == [0.5, 0.5, 0, 0, 0.5, 0]
    assert figures.recall_at[5].tolist() == [1, 1, 0, 1, 1, 1]
    d_ap = torch.tensor([torch.nan, 1.0, 1.0, torch.inf, torch.nan])
    d_an = torch.tensor([1.0, torch.nan, torch.inf, torch.nan, torch.nan])
    assert triplet_accuracy(d_ap, d_an).tolist() == [0, 1, 1, 1, 0]
