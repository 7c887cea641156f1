"""Figures of an open set against scikit-learn and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from siamesekit.components.distances.euclidean import euclidean
from siamesekit.evaluation.open_set import NearestPhoto, OpenSet, nearest_photo, open_set
from siamesekit.evaluation.protocol import Protocol

LABELS = np.repeat(np.arange(8), 4)
KNOWN = LABELS < 5


def found(seed: int = 0) -> NearestPhoto:
    rng = np.random.default_rng(seed)
    distance = np.round(rng.gamma(2, np.where(KNOWN, 1.0, 1.6)), 1)  # rounded: some are equal
    return NearestPhoto(distance, np.where(rng.random(32) < 0.7, LABELS % 5, 0))


def figures(threshold: float | None = 1.5, resamples: int = 300, seed: int = 0) -> OpenSet:
    made = open_set(found(seed), LABELS, KNOWN, threshold, 0.9, resamples, np.random.default_rng(1))
    assert made is not None
    return made


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_that_of_scikit_learn(seed: int) -> None:
    assert figures(seed=seed).auroc.value == pytest.approx(roc_auc_score(~KNOWN, found(seed).distance), abs=1e-12)


def test_baks_and_baus_are_means_over_individuals() -> None:
    nearest, made = found(), figures()
    right = [
        np.mean([nearest.distance[q] <= 1.5 and nearest.label[q] == i for q in np.flatnonzero(i == LABELS)])
        for i in range(5)
    ]
    new = [np.mean([nearest.distance[q] > 1.5 for q in np.flatnonzero(i == LABELS)]) for i in range(5, 8)]
    assert made.baks.value == pytest.approx(np.mean(right), abs=1e-12)
    assert made.baus.value == pytest.approx(np.mean(new), abs=1e-12)
    assert made.geometric_mean.value == pytest.approx(np.sqrt(np.mean(right) * np.mean(new)), abs=1e-12)
    assert (made.known, made.new) == (20, 12)


@pytest.mark.medium
def test_intervals_draw_known_and_new_individuals_separately() -> None:
    nearest, made = found(), figures(resamples=4000)
    rng, drawn = np.random.default_rng(5), []
    for _ in range(300):
        queries = [np.flatnonzero(i == LABELS) for i in [*rng.integers(5, size=5), *rng.integers(5, 8, size=3)]]
        chosen = np.concatenate(queries)
        drawn.append(roc_auc_score(~KNOWN[chosen], nearest.distance[chosen]))
    np.testing.assert_allclose(made.auroc[1:], np.quantile(drawn, [0.05, 0.95]), atol=0.03)
    for figure in made[:4]:
        assert figure.low <= figure.value <= figure.high


def test_without_a_threshold_there_is_only_the_auroc() -> None:
    made = figures(threshold=None)
    assert made.auroc == figures().auroc
    assert made.baks is made.baus is made.geometric_mean is None


def test_queries_of_one_kind_have_no_figures() -> None:
    for known in (np.ones(32, dtype=bool), np.zeros(32, dtype=bool)):
        assert open_set(found(), LABELS, known, 1.0, 0.9, 10, np.random.default_rng(0)) is None


def test_a_query_is_never_its_own_nearest_photo() -> None:
    embeddings = torch.tensor([[0.0], [1.0], [5.0], [torch.nan]])
    protocol = Protocol(torch.tensor([0, 1, 3]), torch.tensor([0, 1, 2]))
    made = nearest_photo(embeddings, np.array([4, 5, 6, 7]), protocol, euclidean)
    assert made.label.tolist() == [5, 4, -1]
    assert made.distance.tolist() == [1, 1, np.inf]
