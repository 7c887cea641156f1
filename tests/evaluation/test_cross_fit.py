"""Cross-fitting against a plain loop over folds and pairs."""

from itertools import combinations

import numpy as np
import pytest

from scored_pairs import case, fitted
from siamesekit.evaluation import cross_fit as module
from siamesekit.evaluation.cross_fit import cross_fit
from siamesekit.evaluation.pairs import ScoredPairs


def folds_of(individuals: list[int], rng: np.random.Generator) -> list[list[int]]:
    if len(individuals) <= 12:
        return [list(two) for two in combinations(individuals, 2)]
    return [part.tolist() for part in np.array_split(rng.permutation(individuals), 5)]


def verdicts(pairs: ScoredPairs, rate: float, rng: np.random.Generator) -> dict[int, float]:
    """Pair → mean verdict "same" over the folds that hold out both its individuals, by loops."""
    rows = list(zip(pairs.distance, pairs.first, pairs.second, strict=True))
    judged: dict[int, list[bool]] = {}
    for held_out in folds_of(sorted({int(i) for _, *two in rows for i in two}), rng):
        setting = [row for row in rows if row[1] not in held_out and row[2] not in held_out]
        threshold = fitted(ScoredPairs(*(np.array(column) for column in zip(*setting, strict=True))), rate).threshold
        for index, (distance, first, second) in enumerate(rows):
            if first in held_out and second in held_out:
                judged.setdefault(index, []).append(bool(distance <= threshold))
    return {index: sum(votes) / len(votes) for index, votes in judged.items()}


@pytest.mark.parametrize("rate", [0.0, 0.2])
@pytest.mark.parametrize(("individuals", "folds"), [(4, 6), (6, 15), (13, 5)])
def test_cross_fit_judges_only_pairs_of_individuals_that_did_not_set_the_threshold(
    individuals: int, folds: int, rate: float
) -> None:
    pairs = case(3, individuals)
    found = cross_fit(pairs, rate, 0.95, 50, np.random.default_rng(1))
    assert found is not None
    shares = verdicts(pairs, rate, np.random.default_rng(1))
    accepted = [share for index, share in shares.items() if not pairs.same[index]]
    rejected = [1 - share for index, share in shares.items() if pairs.same[index]]
    assert (found.folds, found.same_pairs, found.different_pairs) == (folds, len(rejected), len(accepted))
    assert found.false_accept_rate.value == pytest.approx(np.mean(accepted), abs=1e-12)
    assert found.false_reject_rate.value == pytest.approx(np.mean(rejected), abs=1e-12)
    assert found.accuracy.value == pytest.approx(1 - (np.mean(accepted) + np.mean(rejected)) / 2, abs=1e-12)
    assert 0.01 < found.accuracy.value < 0.99


def test_cross_fit_intervals_resample_whole_individuals() -> None:
    pairs = case(3)
    found = cross_fit(pairs, 0.0, 0.9, 60, np.random.default_rng(1))
    assert found is not None
    shares = verdicts(pairs, 0.0, np.random.default_rng(1))
    individuals = sorted(set(pairs.first) | set(pairs.second))
    rng = np.random.default_rng(1)
    false_accepts, false_rejects = [], []
    for _ in range(60):
        copies = [individuals[i] for i in rng.integers(len(individuals), size=len(individuals))]
        accepted, rejected = [], []
        for index, share in shares.items():
            first, second = copies.count(pairs.first[index]), copies.count(pairs.second[index])
            if pairs.same[index]:
                rejected += [1 - share] * first
            else:
                accepted += [share] * (first * second)
        false_accepts.append(np.mean(accepted))
        false_rejects.append(np.mean(rejected))
    np.testing.assert_allclose(found.false_accept_rate[1:], np.quantile(false_accepts, [0.05, 0.95]), atol=1e-12)
    np.testing.assert_allclose(found.false_reject_rate[1:], np.quantile(false_rejects, [0.05, 0.95]), atol=1e-12)
    accuracies = 1 - (np.array(false_accepts) + np.array(false_rejects)) / 2
    np.testing.assert_allclose(found.accuracy[1:], np.quantile(accuracies, [0.05, 0.95]), atol=1e-12)


@pytest.mark.parametrize("individuals", [2, 3])
def test_fewer_than_four_individuals_cannot_be_cross_fitted(individuals: int) -> None:
    assert cross_fit(case(0, individuals), 0.0, 0.95, 10, np.random.default_rng(0)) is None
    assert cross_fit(case(0, 4), 0.0, 0.95, 10, np.random.default_rng(0)) is not None


def test_constant_distances_cannot_be_cross_fitted() -> None:
    pairs = case(0)
    constant = ScoredPairs(np.full_like(pairs.distance, 0.7), pairs.first, pairs.second)
    assert cross_fit(constant, 0.0, 0.95, 10, np.random.default_rng(0)) is None


def test_many_individuals_are_held_out_in_groups() -> None:
    assert module.MAX_PAIRED_FOLDS == 12
    found = cross_fit(case(0, 30, 2), 0.0, 0.95, 10, np.random.default_rng(0))
    assert found is not None
    assert (found.folds, found.same_pairs, found.different_pairs) == (5, 30, 5 * 15 * 4)
