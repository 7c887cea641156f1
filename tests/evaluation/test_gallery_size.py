"""Right answers by gallery size against all galleries, enumerated; distances to individuals against a loop."""

from itertools import combinations

import numpy as np
import pytest
import torch

from conftest import embeddings
from siamesekit.components.distances.distance import as_distance
from siamesekit.evaluation.gallery_size import individual_distances, right_by_size, sizes_up_to
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import retrieval_metrics

EUCLIDEAN = as_distance("euclidean")


def test_the_probability_is_the_share_of_all_galleries() -> None:
    rng = np.random.default_rng(0)
    distances, own = rng.random((12, 6)).round(1), rng.integers(6, size=12)  # with ties
    distances[3, own[3]] = np.nan
    distances[5, (own[5] + 1) % 6] = np.nan
    sizes = [1, 2, 3, 5, 6]
    found = right_by_size(distances, own, sizes)
    for row, size in zip(found, sizes, strict=True):
        for query, mine in enumerate(own):
            others = [other for other in range(6) if other != mine]
            right = [
                not any(distances[query, other] <= distances[query, mine] for other in chosen)
                for chosen in combinations(others, size - 1)
            ]
            if query == 3:
                assert np.isnan(row[query])
            else:
                assert row[query] == pytest.approx(np.mean(right), abs=1e-12)


def test_in_the_whole_gallery_it_is_the_precision_at_1() -> None:
    labels = np.repeat(np.arange(9), 5)
    points = embeddings(labels, noise=1.2)
    protocol = Protocol.leave_one_out(len(labels))
    distances, individuals = individual_distances(points, labels, protocol, torch.arange(45), EUCLIDEAN)
    metrics = retrieval_metrics(points, torch.from_numpy(labels), EUCLIDEAN)
    found = right_by_size(distances, labels, sizes_up_to(9))
    assert individuals.tolist() == list(range(9))
    np.testing.assert_allclose(found[-1], metrics.precision_at_1, atol=1e-12)
    assert 0.3 < found[-1].mean() < 0.95
    assert (np.diff(found, axis=0) <= 1e-12).all(), "more individuals are never easier"


@pytest.mark.parametrize("values", [1, 1 << 23])
def test_distances_to_individuals_are_those_of_a_loop(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamesekit.evaluation.gallery_size.VALUES", values)
    labels = np.array([5, 5, 2, 2, 2, 9, 5, 2])
    points = embeddings(labels).double()
    points[4] = torch.nan
    apart = torch.tensor([0, 0, 1, -1, -1, 2, 2, 0])
    protocol = Protocol(torch.tensor([0, 2, 5, 6]), torch.tensor([1, 2, 3, 4, 5]), apart)
    found, individuals = individual_distances(points, labels, protocol, torch.tensor([0, 1, 3]), EUCLIDEAN)
    assert individuals.tolist() == [2, 5, 9]
    for row, query in zip(found, (0, 2, 6), strict=True):
        for value, individual in zip(row, individuals, strict=True):
            near = [
                float(torch.dist(points[query], points[photo]).nan_to_num(torch.inf))
                for photo in (1, 2, 3, 4, 5)
                if labels[photo] == individual
                and photo != query
                and not (apart[photo] == apart[query] and apart[query] >= 0)
            ]
            assert value == pytest.approx(min(near, default=np.nan), nan_ok=True)
    assert np.isnan(found[0, 1]) and np.isnan(found[2, 2]), "all photos of the individual are apart"


def test_sizes_end_with_the_number_of_individuals() -> None:
    assert [sizes_up_to(count) for count in (1, 2, 5, 6)] == [[1], [2], [2, 5], [2, 5, 6]]
