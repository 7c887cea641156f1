"""Metrics against plain loops and pytorch-metric-learning's accuracy calculator."""

import math

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

from siamesekit import retrieval as search
from siamesekit.distances.euclidean import Euclidean
from siamesekit.distances.manhattan import Manhattan
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.metrics import RetrievalMetrics, interval, mean_with_interval, per_query, retrieval, triplet_accuracy

Floats = NDArray[np.float64]


def by_loop(distances: Floats, labels: list[int], query: int) -> tuple[float, float]:
    """P@1 and MAP@R of one query, by their definitions."""
    others = sorted((i for i in range(len(labels)) if i != query), key=lambda i: (distances[query][i], i))
    relevances = [labels[i] == labels[query] for i in others]
    relevant = sum(relevances)
    if relevant == 0:
        return math.nan, math.nan
    total = 0.0
    for rank in range(1, relevant + 1):
        if relevances[rank - 1]:
            total += sum(relevances[:rank]) / rank
    return float(relevances[0]), total / relevant


def flat(found: RetrievalMetrics) -> Floats:
    """All figures, a column each: those without a k, then per k precision, recall, average precision."""
    by_k = [column[k] for k in found.precision_at for column in found[4:]]
    return np.stack([*found[:4], *by_k], 1)


def all_by_loop(distances: Floats, labels: list[int], query: int, ranks: tuple[int, ...]) -> list[float]:
    """Every figure of one query by its definition, in the order of `flat`."""
    others = sorted((i for i in range(len(labels)) if i != query), key=lambda i: (distances[query][i], i))
    relevances = [labels[i] == labels[query] for i in others]
    relevant = sum(relevances)
    if relevant == 0:
        return [math.nan] * (4 + 3 * len(ranks))

    def gain(k: int) -> float:
        return sum(sum(relevances[:rank]) / rank for rank in range(1, min(k, len(others)) + 1) if relevances[rank - 1])

    first = relevances.index(True) + 1
    values = [float(relevances[0]), gain(relevant) / relevant, sum(relevances[:relevant]) / relevant,
              1 / first if first <= max(ranks) else 0.0]  # fmt: skip
    for k in ranks:
        values += [sum(relevances[:k]) / k, float(any(relevances[:k])), gain(k) / min(relevant, k)]
    return values


def case(seed: int, photos: int, individuals: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(photos, 3))), torch.from_numpy(rng.integers(individuals, size=photos))


@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 8), st.booleans())
@settings(deadline=None)
def test_retrieval_equals_the_loop_with_ties_and_singletons(
    seed: int, photos: int, individuals: int, coarse: bool
) -> None:
    embeddings, labels = case(seed, photos, individuals)
    if coarse:
        embeddings = embeddings.round()  # many equal distances, exactly
    found = retrieval(embeddings, labels, SquaredEuclidean())
    distances = ((embeddings.numpy()[:, None] - embeddings.numpy()[None]) ** 2).sum(-1)
    expected = [by_loop(distances, labels.tolist(), query) for query in range(photos)]
    np.testing.assert_allclose(np.stack(found[:2], 1), expected, atol=1e-12)


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 8), st.booleans())
@settings(deadline=None)
def test_every_figure_equals_the_loop(seed: int, photos: int, individuals: int, coarse: bool) -> None:
    embeddings, labels = case(seed, photos, individuals)
    if coarse:
        embeddings = embeddings.round()
    distances = ((embeddings.numpy()[:, None] - embeddings.numpy()[None]) ** 2).sum(-1)
    for ranks in ((1,), (2, 30), (1, 3, 6)):
        found = flat(retrieval(embeddings, labels, SquaredEuclidean(), ranks))
        expected = [all_by_loop(distances, labels.tolist(), query, ranks) for query in range(photos)]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_individuals_of_very_different_size_are_ranked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.from_numpy(
        np.random.default_rng(0).permutation(np.repeat(np.arange(9), [1, 2, 2, 3, 5, 9, 20, 40, 70]))
    )
    embeddings = case(3, len(labels), 1)[0]
    distances = ((embeddings.numpy()[:, None] - embeddings.numpy()[None]) ** 2).sum(-1)
    monkeypatch.setattr("siamesekit.metrics.NEIGHBOURS", 300)
    monkeypatch.setattr("siamesekit.metrics.PER_QUERY", 3)
    found = flat(retrieval(embeddings, labels, SquaredEuclidean(), (1, 4)))
    expected = [all_by_loop(distances, labels.tolist(), query, (1, 4)) for query in range(len(labels))]
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
    found = retrieval(embeddings, labels, Euclidean())
    assert found.precision_at_1.mean() == pytest.approx(expected["precision_at_1"], abs=1e-12)
    assert found.map_at_r.mean() == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-12)
    assert found.r_precision.mean() == pytest.approx(expected["r_precision"], abs=1e-12)
    assert 0.01 < found.map_at_r.mean() < 0.5


def test_the_documented_example_gives_417_thousandths() -> None:
    relevances = [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    embeddings = torch.arange(11.0)[:, None]  # the query is photo 0, the others rank in their order
    labels = torch.tensor([1, *relevances])
    found = retrieval(embeddings, labels, Euclidean())
    assert found.map_at_r[0] == pytest.approx((1 + 2 / 3) / 4, abs=1e-12)
    assert round(found.map_at_r[0], 3) == 0.417
    assert found.precision_at_1[0] == 1
    of_hits = per_query(torch.tensor([relevances]).bool(), torch.tensor([4]), (1,))
    assert of_hits[0, :2].tolist() == [found.precision_at_1[0], found.map_at_r[0]]


def test_of_equal_distances_the_lower_index_ranks_first() -> None:
    same = torch.zeros(4, 2)
    assert retrieval(same, torch.tensor([0, 0, 1, 1]), SquaredEuclidean()).precision_at_1.tolist() == [1, 1, 0, 0]


def test_a_photo_without_a_relevant_one_has_no_value() -> None:
    found = retrieval(torch.randn(4, 2), torch.tensor([0, 1, 1, 2]), SquaredEuclidean())
    assert np.isnan(found.precision_at_1).tolist() == [True, False, False, True]
    assert np.isnan(found.map_at_r).tolist() == [True, False, False, True]


@pytest.mark.parametrize("memory", [1, 10_000, 60_000])
def test_the_chunk_of_queries_does_not_matter(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = case(1, 60, 9)
    expected = retrieval(embeddings, labels, Euclidean())
    monkeypatch.setattr(search, "MEMORY", memory)
    found = retrieval(embeddings, labels, Euclidean())
    np.testing.assert_array_equal(flat(found), flat(expected))


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


def test_the_mean_is_of_the_values_that_are_there() -> None:
    values, owners = np.array([1.0, np.nan, 0.0, 4.0]), np.array([5, 5, 7, 9])
    found = mean_with_interval(values, owners, 0.95, 100, np.random.default_rng(0))
    assert found.value == pytest.approx(5 / 3, abs=1e-12)


def test_whole_individuals_are_resampled() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(6), [1, 5, 2, 9, 3, 4])
    values = rng.normal(size=len(owners))
    found = mean_with_interval(values, owners, 0.9, 200, np.random.default_rng(1))
    drawn = np.random.default_rng(1).integers(6, size=(200, 6))
    means = [np.concatenate([values[owners == i] for i in draw]).mean() for draw in drawn]
    np.testing.assert_allclose(found[1:], np.quantile(means, [0.05, 0.95]), atol=1e-12)


def test_values_that_agree_within_individuals_count_as_one_value_each() -> None:
    means = np.random.default_rng(0).normal(size=12)
    one_each = mean_with_interval(means, np.arange(12), 0.95, 500, np.random.default_rng(2))
    ten_each = mean_with_interval(
        np.repeat(means, 10), np.repeat(np.arange(12), 10), 0.95, 500, np.random.default_rng(2)
    )
    np.testing.assert_allclose(ten_each, one_each, atol=1e-12)


def test_a_seed_gives_one_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def found(seed: int) -> tuple[float, float | None, float | None]:
        return mean_with_interval(values, np.arange(30), 0.95, 200, np.random.default_rng(seed))

    assert found(3) == found(3)
    assert found(3) != found(4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        effects = rng.normal(size=40)
        owners = np.repeat(np.arange(40), 3)
        found = mean_with_interval(effects[owners] + rng.normal(size=120), owners, 0.9, 300, rng)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= 0 <= found.high
    assert 0.84 < covered / 300 < 0.95  # over photos in place of individuals it would be 0.76


def test_one_individual_has_no_interval() -> None:
    assert mean_with_interval(np.array([1.0, 0.0]), np.array([4, 4]), 0.95, 10, np.random.default_rng(0)) == (
        0.5, None, None
    )  # fmt: skip


def test_no_value_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no value"):
        mean_with_interval(np.array([np.nan]), np.array([0]), 0.95, 10, np.random.default_rng(0))


def test_interval_quantiles_leave_nan_out() -> None:
    found = interval(1.0, lambda: np.array([np.nan, *range(101)]), 5, 0.9)
    assert found == pytest.approx((1.0, 5.0, 95.0), abs=1e-9)


def test_a_photo_that_is_no_number_ranks_last_and_is_never_a_hit() -> None:
    """The others' figures are those of all photos with the lost one far away; its own are 0, not those of its index."""
    place = torch.tensor([[0.0], [1.0], [torch.nan], [2.0], [7.0], [torch.inf]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    figures = retrieval(place, labels, Manhattan(), ranks=(1, 5))
    assert figures.precision_at_1.tolist() == [1, 1, 0, 0, 1, 0]
    # of the query at 0: 1, then 2, 7, then the infinite one, and last the one that is no number: one hit of two
    assert figures.map_at_r.tolist() == [0.5, 0.5, 0, 0, 0.5, 0]
    assert figures.recall_at[5].tolist() == [1, 1, 0, 1, 1, 1]
    d_ap = torch.tensor([torch.nan, 1.0, 1.0, torch.inf, torch.nan])
    d_an = torch.tensor([1.0, torch.nan, torch.inf, torch.nan, torch.nan])
    assert triplet_accuracy(d_ap, d_an).tolist() == [0, 1, 1, 1, 0]
