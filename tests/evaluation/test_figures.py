"""A network's figures against plain arithmetic."""

import numpy as np
import pytest
import torch

from helpers import rows_of
from made_embeddings import case
from oracles import ranked, ranked_right, retrieval_figures, squared_distances
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation import full_ranking as full_ranking_module
from siamesekit.evaluation.figures import Figures, evaluate
from siamesekit.evaluation.intervals import Bootstrap
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.randomness import generator


def figures(seed: int = 0, confidence: float = 0.95) -> Figures:
    return evaluate(*case(), SquaredEuclidean(), Bootstrap(confidence, 200, seed)).figures


def test_figures_are_the_plain_means() -> None:
    embeddings, labels, triplets = case()
    distances = squared_distances(embeddings)
    right = ranked_right(distances, rows_of(triplets))
    nearest = (distances + np.diag([np.inf] * len(labels))).argmin(1)
    found = figures()
    assert found.triplet_accuracy.value == pytest.approx(np.mean(right), abs=1e-12)
    assert found.precision_at_1.value == pytest.approx(np.mean(labels[nearest] == labels), abs=1e-12)
    assert 0 < found.map_at_r.value < found.precision_at_1.value < 1


def test_the_other_figures_are_the_plain_means_too() -> None:
    embeddings, labels, _ = case(individuals=7, photos=5, noise=1.0)
    distances = squared_distances(embeddings)
    names = ["precision_at_1", "map_at_r", "r_precision", "mrr_at_10"]
    names += [f"{figure}_at_{k}" for k in (5, 10) for figure in ("precision", "recall", "map")]
    columns = zip(*(retrieval_figures(distances, labels, query, (5, 10)) for query in range(len(labels))), strict=True)
    table = dict(list(zip(names, columns, strict=True))[2:])
    found = evaluate(*case(individuals=7, photos=5, noise=1.0), SquaredEuclidean(), Bootstrap(0.95, 50, 0))
    found, _, curve = found
    order = [ranked(distances[query].tolist(), without=query) for query in range(len(labels))]
    places = [
        [place for place, i in enumerate(row, 1) if labels[i] == labels[query]] for query, row in enumerate(order)
    ]
    table["mean_average_precision"] = [np.mean([hit / place for hit, place in enumerate(own, 1)]) for own in places]
    table["mrr"] = [1 / own[0] for own in places]
    assert curve == pytest.approx([np.mean([own[0] <= k for own in places]) for k in range(1, 21)], abs=1e-12)
    assert set(table) == set(found._fields[3:])
    for name, values in table.items():
        value, low, high = getattr(found, name)
        assert value == pytest.approx(np.mean(values), abs=1e-12), name
        assert low <= value <= high
    assert len({round(np.mean(values), 6) for values in table.values()}) == len(table), "all of them differ"


def test_intervals_are_over_individuals() -> None:
    embeddings, labels, triplets = case()
    distances = squared_distances(embeddings)
    right = np.array(ranked_right(distances, rows_of(triplets)))
    owners = labels[triplets.anchor.numpy()]
    per_individual = np.array([right[owners == i].mean() for i in range(6)])  # six triplets each
    drawn = generator(0, "bootstrap").integers(6, size=(200, 6))
    expected = np.quantile(per_individual[drawn].mean(1), [0.025, 0.975])
    np.testing.assert_allclose(figures().triplet_accuracy[1:], expected, atol=1e-12)


def test_the_seed_decides_the_intervals_and_the_confidence_their_width() -> None:
    assert figures(seed=1) == figures(seed=1)
    assert figures(seed=1) != figures(seed=2)
    for wide, narrow in zip(figures(confidence=0.99), figures(confidence=0.5), strict=True):
        assert wide.value == narrow.value
        assert wide.low <= narrow.low < narrow.high <= wide.high


@pytest.mark.parametrize("kind", ["all", "gallery", "apart", "too many"])
def test_one_search_gives_what_two_give(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranked once, the gallery gives the same bits as a search for the first ranks and one for all ranks."""
    embeddings, labels, triplets = case(individuals=9, photos=7, noise=1.0)
    labels[:3], embeddings[40] = 100 + np.arange(3), np.nan
    every = torch.arange(len(labels))
    protocol = {
        "gallery": Protocol(every[:30], every[20:]),
        "apart": Protocol(every, every, every // 3),
    }.get(kind, Protocol.leave_one_out(len(labels)))
    if kind == "too many":
        monkeypatch.setattr(full_ranking_module, "MOST_COMPARISONS", 100)
    distance, bootstrap = SquaredEuclidean(), Bootstrap(0.95, 20, 0)
    found = evaluate(embeddings, labels, triplets, distance, bootstrap, protocol)
    expected = retrieval_metrics(embeddings, labels, distance, protocol=protocol)
    for ours, theirs in zip(found.per_query, expected, strict=True):
        np.testing.assert_equal(ours, theirs)
    whole = full_ranking_module.full_ranking(embeddings, labels, distance, protocol)
    assert (whole is None) == (kind == "too many") == (found.match_curve is None)
    if whole is not None:
        assert found.match_curve == whole.match_curve()
        assert found.figures.mrr.value == pytest.approx(np.nanmean(whole.reciprocal_rank))
        assert found.figures.mean_average_precision.value == pytest.approx(np.nanmean(whole.average_precision))
