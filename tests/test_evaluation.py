"""Evaluation: figures against plain arithmetic, and what is said about a threshold."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit import evaluation
from siamesekit.calibration import Pairs, cross_fit
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.evaluation import Figures, OperatingPoint, evaluate, operating_point
from siamesekit.randomness import generator
from siamesekit.triplets import Triplets, all_pairs_triplets

Labels = NDArray[np.int64]


def case(individuals: int = 6, photos: int = 4, noise: float = 0.6) -> tuple[Tensor, Labels, Triplets]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(individuals), photos)
    embeddings = rng.normal(size=(individuals, 3))[labels] + noise * rng.normal(size=(len(labels), 3))
    return torch.from_numpy(embeddings), labels, all_pairs_triplets(labels, photos, rng)


def figures(seed: int = 0, confidence: float = 0.95) -> Figures:
    return evaluate(*case(), SquaredEuclidean(), confidence, resamples=200, seed=seed)


def point(individuals: int = 6, rate: float = 0.0, noise: float = 0.6) -> tuple[OperatingPoint | None, list[str]]:
    embeddings, labels, _ = case(individuals, noise=noise)
    return operating_point(embeddings, labels, SquaredEuclidean(), rate, 0.95, 50, seed=3)


def test_figures_are_the_plain_means() -> None:
    embeddings, labels, triplets = case()
    rows = embeddings.numpy()
    distances = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    right = [distances[a, p] < distances[a, n] for a, p, n in zip(*(i.tolist() for i in triplets), strict=True)]
    nearest = (distances + np.diag([np.inf] * len(labels))).argmin(1)
    found = figures()
    assert found.triplet_accuracy.value == pytest.approx(np.mean(right), abs=1e-12)
    assert found.precision_at_1.value == pytest.approx(np.mean(labels[nearest] == labels), abs=1e-12)
    assert 0 < found.map_at_r.value < found.precision_at_1.value < 1


def test_intervals_are_over_individuals() -> None:
    embeddings, labels, triplets = case()
    rows = embeddings.numpy()
    distances = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    right = np.array([distances[a, p] < distances[a, n] for a, p, n in torch.stack(list(triplets), 1).tolist()])
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


def test_the_operating_point_is_calibrated_and_cross_fitted_on_all_pairs() -> None:
    found, notes = point()
    assert found is not None
    embeddings, labels, _ = case()
    rows, (i, j) = embeddings.numpy(), np.triu_indices(len(labels), k=1)
    pairs = Pairs(((rows[i] - rows[j]) ** 2).sum(-1), labels[i], labels[j])
    expected = cross_fit(pairs, 0.0, 0.95, 50, generator(3, "cross-fit"))
    assert found.calibration.similarity(found.calibration.threshold) == pytest.approx(0.5, abs=1e-9)
    assert found.cross_fit == expected
    assert (found.criterion, found.individuals) == ("same and different equally likely", 6)
    assert notes == ["The threshold and its error rates rest on 6 held-out individuals: with so few, expect other "
                     "rates on other individuals."]  # fmt: skip


def test_a_false_accept_rate_that_the_pairs_cannot_show_is_said() -> None:
    found, notes = point(individuals=20, rate=0.001)
    assert found is not None
    assert found.criterion == "at most 0.10% of different pairs accepted"
    different = 20 * 19 // 2 * 16
    assert different * 0.001 > 3
    assert notes == []
    found, notes = point(individuals=20, rate=0.0005)
    assert len(notes) == 1
    assert notes[0].startswith(f"{different} different pairs are too few for a false-accept rate of 0.05%")


def test_a_sample_of_pairs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_PAIRS", 250)
    found, notes = point()
    assert found is not None
    assert notes[0] == ("Threshold, similarity and error rates come from 250 of 276 pairs of photos, drawn at random: "
                        "36 same, the others different.")  # fmt: skip
    assert found.cross_fit is not None
    assert found.cross_fit.same_pairs == 36
    monkeypatch.setattr(evaluation, "MAX_PAIRS", 276)
    assert len(point()[1]) == len(notes) - 1


def test_too_few_individuals_leave_the_error_rates_unknown() -> None:
    found, notes = point(individuals=3)
    assert found is not None
    assert found.cross_fit is None
    assert found.as_json()["cross_fit"] is None
    assert notes == ["The threshold's error rates are unknown: 3 held-out individuals are too few; four are needed, "
                     "two to set it and two to judge it."]  # fmt: skip


def test_a_distance_that_tells_nothing_has_no_threshold() -> None:
    _, labels, _ = case()
    found, notes = operating_point(torch.ones(24, 3), labels, SquaredEuclidean(), 0.0, 0.95, 50, seed=3)
    assert found is None
    assert notes == ["No threshold: the distance does not tell same from different on the held-out individuals."]


def test_json_holds_every_figure() -> None:
    found, _ = point()
    assert found is not None
    assert found.cross_fit is not None
    written = json.loads(json.dumps(found.as_json()))
    assert written["threshold"] == found.calibration.threshold
    assert written["slope"] == found.calibration.slope
    assert written["intercept"] == found.calibration.intercept
    assert (written["criterion"], written["individuals"]) == (found.criterion, 6)
    for name in ("false_accept_rate", "false_reject_rate", "accuracy"):
        value, low, high = getattr(found.cross_fit, name)
        assert written["cross_fit"][name] == {"value": value, "low": low, "high": high}
    for name in ("folds", "same_pairs", "different_pairs"):
        assert written["cross_fit"][name] == getattr(found.cross_fit, name)
    assert replace(found, cross_fit=None).as_json()["cross_fit"] is None
