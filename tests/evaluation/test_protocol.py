"""Queries, galleries and groups that are kept apart, against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles import ranked, retrieval_figures, squared_distances
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation.full_ranking import full_ranking
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import retrieval_metrics


def order_of(protocol: Protocol, distances: np.ndarray, query: int) -> list[int]:
    """Positions of the photos that a query is compared with, nearest first."""
    apart = protocol.apart
    allowed = [
        photo
        for photo in protocol.gallery.tolist()
        if photo != query and (apart is None or apart[query] < 0 or apart[photo] != apart[query])
    ]
    return [allowed[i] for i in ranked([distances[query][photo] for photo in allowed])]


def figures_of(order: list[int], labels: torch.Tensor, query: int, ranks: tuple[int, ...]) -> list[float]:
    """Figures of a query by the oracle of leave-one-out, told the order by made-up distances."""
    places = np.arange(1.0, len(order) + 1)
    of = np.array([labels[query].item(), *labels[order].tolist()])
    return retrieval_figures([[0.0, *places]], of, 0, ranks)


@pytest.mark.medium
@given(st.integers(0, 10_000), st.integers(3, 16), st.integers(1, 4), st.sampled_from([None, 2, 5]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_figure_equals_the_loop_for_any_queries_gallery_and_groups(
    seed: int, photos: int, individuals: int, groups: int | None, coarse: bool
) -> None:
    rng = np.random.default_rng(seed)
    embeddings = torch.from_numpy(rng.normal(size=(photos, 2)))
    embeddings = embeddings.round() if coarse else embeddings
    labels = torch.from_numpy(rng.integers(individuals, size=photos))
    apart = None if groups is None else torch.from_numpy(rng.integers(-1, groups, size=photos))
    queries, gallery = (torch.from_numpy(np.flatnonzero(rng.random(photos) < 0.6)) for _ in range(2))
    if not len(queries) or not len(gallery):
        return
    protocol = Protocol(queries, gallery, apart)
    distances = np.asarray(squared_distances(embeddings))
    orders = [order_of(protocol, distances, query) for query in queries.tolist()]
    expected = [figures_of(order, labels, query, (1, 3)) for order, query in zip(orders, queries.tolist(), strict=True)]
    found = retrieval_metrics(embeddings, labels, SquaredEuclidean(), (1, 3), protocol)
    by_k = [column[k] for k in (1, 3) for column in found[4:]]
    np.testing.assert_allclose(np.stack([*found[:4], *by_k], 1), expected, atol=1e-12)
    whole = full_ranking(embeddings, labels, SquaredEuclidean(), protocol)
    for row, (order, query) in enumerate(zip(orders, queries.tolist(), strict=True)):
        places = [place for place, photo in enumerate(order, 1) if labels[photo] == labels[query]]
        precision = np.mean([hit / place for hit, place in enumerate(places, 1)]) if places else math.nan
        assert whole.average_precision[row] == pytest.approx(precision, abs=1e-12, nan_ok=True)
        assert whole.first_rank[row] == pytest.approx(places[0] if places else math.nan, nan_ok=True)


def test_the_relevant_photos_are_those_of_the_individual_outside_the_querys_group() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    apart = torch.tensor([7, 7, 8, -1, -1])
    assert Protocol.leave_one_out(5).relevant(labels).tolist() == [2, 2, 2, 1, 1]
    assert Protocol.leave_one_out(5, apart).relevant(labels).tolist() == [1, 1, 2, 1, 1]
    assert Protocol(torch.tensor([0, 3]), torch.tensor([1, 2, 3]), apart).relevant(labels).tolist() == [1, 0]


def test_whole_rankings_are_refused_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = torch.randn(5, 2), torch.tensor([0, 0, 1, 1, 1])
    monkeypatch.setattr("siamesekit.evaluation.full_ranking.MOST_COMPARISONS", 25)
    assert full_ranking(embeddings, labels, SquaredEuclidean()) is not None
    monkeypatch.setattr("siamesekit.evaluation.full_ranking.MOST_COMPARISONS", 24)
    assert full_ranking(embeddings, labels, SquaredEuclidean()) is None


def test_a_query_whose_relevant_photos_are_all_at_nan_distances_has_no_hit() -> None:
    embeddings = torch.tensor([[0.0], [math.nan], [1.0]])
    found = full_ranking(embeddings, torch.tensor([0, 0, 1]), SquaredEuclidean())
    assert found.first_rank[0] == math.inf
    assert found.average_precision[0] == found.reciprocal_rank[0] == 0
    assert found.match_curve(2) == [0, 0]
