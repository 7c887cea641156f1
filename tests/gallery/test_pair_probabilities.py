"""Probabilities of all pairs: Bayes' rule, the silhouette of scikit-learn, and a share that separates clusters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.errors import UserError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.gallery import pair_probabilities
from siamesekit.gallery.clustering import average_linkage
from siamesekit.gallery.pair_probabilities import check_size, correct, separated, silhouette, similarities, together

CALIBRATION = Calibration(slope=2.0, intercept=-3.0, threshold=1.5)


def test_each_pair_has_the_similarity_of_compare_and_the_probability_of_bayes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_probabilities, "ROWS", 4)
    points = torch.randn(11, 3, generator=torch.Generator().manual_seed(0))
    found = similarities(points, Euclidean(), CALIBRATION)
    before = found.copy()
    correct(found, 0.05)
    for i in range(11):
        for j in range(11):
            same = CALIBRATION.similarity(float((points[i] - points[j]).norm())) if i != j else 0.0
            assert before[i, j] == pytest.approx(same, abs=1e-5)
            assert found[i, j] == pytest.approx(0.05 * same / (0.05 * same + 0.95 * (1 - same)), abs=1e-5)


def test_the_silhouette_is_that_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_probabilities, "ROWS", 7)
    rng = np.random.default_rng(0)
    similarity = similarities(torch.from_numpy(rng.normal(size=(30, 2))), Euclidean(), CALIBRATION)
    for labels in (rng.integers(5, size=30), np.minimum(np.arange(30), 12)):
        matrix = 1 - similarity
        np.fill_diagonal(matrix, 0)
        expected = silhouette_score(matrix, labels, metric="precomputed")
        assert silhouette(similarity, labels) == pytest.approx(expected, abs=1e-5)


def test_the_share_separates_clusters_that_the_threshold_joins() -> None:
    """Groups whose mean similarity is above 0.5, but far below that within them."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 5)
    points = np.stack([labels * 0.9, np.zeros(40)], axis=1) + rng.normal(0, 0.05, (40, 2))
    similarity = similarities(torch.from_numpy(points), Euclidean(), CALIBRATION)
    tree = average_linkage(1 - similarity)
    assert len(np.unique(tree.labels)) < 8
    share = separated(similarity, tree)
    assert len(np.unique(tree.cut(share))) == 8 and share < 0.3
    assert together(tree.cut(share)) == pytest.approx(8 * 10 / 780)
    assert (together(np.arange(40)), together(np.zeros(40, np.int64))) == pytest.approx((1 / 780, 779 / 780))
    assert together(np.arange(2)) == 0.5


def test_too_many_photos_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="20,001 photos are too many to compare each with each: at most 20,000"):
        check_size(20_001)
    monkeypatch.setattr(pair_probabilities, "machine_memory", lambda: 1 << 20)
    with pytest.raises(UserError, match=r"1,000 photos .* takes 11.4 MiB of memory, and there are 1 MiB"):
        check_size(1000)
    with pytest.raises(UserError, match="at least 2 photos, not 1"):
        check_size(1)
    check_size(100)
