"""Confusions, hubs and skewness against plain loops over queries."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from conftest import embeddings
from siamesekit.components.distances.distance import as_distance
from siamesekit.evaluation.mistakes import K, confusions, hubs, neighbourhoods, skewness
from siamesekit.evaluation.protocol import Protocol

EUCLIDEAN = as_distance("euclidean")


def ranks(points: torch.Tensor, query: int, among: list[int], apart: list[int]) -> list[int]:
    """The gallery photos of other groups, nearest first."""
    allowed = [photo for photo in among if photo != query and apart[photo] != apart[query]]
    return sorted(allowed, key=lambda photo: (float(torch.dist(points[query], points[photo])), photo))


def test_confusions_and_hubs_are_those_of_a_loop_over_the_queries() -> None:
    labels = np.repeat(np.arange(8) * 3, 6)
    points = embeddings(labels // 3, noise=1.5).double()
    apart = [photo // 2 for photo in range(48)]
    queries, gallery = list(range(0, 48, 2)), [photo for photo in range(48) if photo % 5]
    protocol = Protocol(torch.tensor(queries), torch.tensor(gallery), torch.tensor(apart))
    rows = torch.arange(1, len(queries))
    found = neighbourhoods(points, protocol, rows, EUCLIDEAN)
    ordered = {query: ranks(points, query, gallery, apart) for query in queries[1:]}
    assert found.query.tolist() == queries[1:]
    assert found.photo.tolist() == [ordered[query][:K] for query in queries[1:]]
    occurs = Counter(photo for order in ordered.values() for photo in order[:K])
    assert found.occurrences.tolist() == [occurs[photo] for photo in gallery]

    wrong = [(query, order[0]) for query, order in ordered.items() if labels[order[0]] != labels[query]]
    taken = Counter((int(labels[query]), int(labels[photo])) for query, photo in wrong)
    listed = confusions(found, labels)
    assert len(wrong) > 5
    assert {(each.individual, each.taken_for): each.count for each in listed} == taken
    assert [each.count for each in listed] == sorted(taken.values(), reverse=True)
    for each in listed:
        assert each.queries == sum(labels[query] == each.individual for query in ordered)
        mine = [(q, p) for q, p in wrong if (labels[q], labels[p]) == (each.individual, each.taken_for)]
        assert (each.query, each.found) == min(mine, key=lambda pair: torch.dist(points[pair[0]], points[pair[1]]))

    misled = Counter(photo for _, photo in wrong)
    assert {hub.photo: (hub.misled, hub.occurrences) for hub in hubs(found, labels)} == {
        photo: (times, occurs[photo]) for photo, times in misled.items()
    }
    assert [hub.misled for hub in hubs(found, labels)] == sorted(misled.values(), reverse=True)


def test_a_photo_in_the_middle_of_all_is_a_hub() -> None:
    """Five photos on a circle, far from each other, and one in its middle."""
    angle = torch.arange(5) * 2 * torch.pi / 5
    points = torch.cat([torch.zeros(1, 2), torch.stack([angle.cos(), angle.sin()], dim=1)])
    found = neighbourhoods(points, Protocol.leave_one_out(6), torch.arange(1, 6), EUCLIDEAN, k=1)
    [hub] = hubs(found, np.arange(6))
    assert (hub.photo, hub.misled, hub.occurrences) == (0, 5, 5)
    assert skewness(found.occurrences) == pytest.approx(stats.skew([5, 0, 0, 0, 0, 0]))


def test_photos_at_nan_distances_are_no_neighbours() -> None:
    points = torch.tensor([[0.0], [1.0], [torch.nan]])
    found = neighbourhoods(points, Protocol.leave_one_out(3), torch.arange(3), EUCLIDEAN)
    assert found.photo.tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert found.occurrences.tolist() == [1, 1, 0]
    assert len(confusions(found, np.arange(3))) == 2


@pytest.mark.parametrize("seed", range(3))
def test_the_skewness_is_scipys(seed: int) -> None:
    values = np.random.default_rng(seed).poisson(3, 200)
    assert skewness(values) == pytest.approx(stats.skew(values), rel=1e-12)
    assert skewness(np.full(4, 7)) is None
