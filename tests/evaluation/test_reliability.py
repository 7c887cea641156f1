"""Reliability and resampled pairs against plain loops over folds, pairs and copies of individuals."""

from itertools import combinations

import numpy as np
import pytest

from scored_pairs import case, fitted
from siamesekit.evaluation import pair_resamples as module
from siamesekit.evaluation.intervals import Bootstrap, drawn_counts
from siamesekit.evaluation.pair_resamples import resampled_pairs
from siamesekit.evaluation.pairs import ScoredPairs
from siamesekit.evaluation.reliability import reliability
from siamesekit.randomness import generator

BOOTSTRAP = Bootstrap(0.9, 40, 3)


def similarities(pairs: ScoredPairs) -> list[float]:
    """The mean similarity of each pair over the folds of two individuals that hold it out."""
    individuals = sorted(set(pairs.first.tolist()) | set(pairs.second.tolist()))
    rows = list(zip(pairs.distance, pairs.first, pairs.second, strict=True))
    said: list[list[float]] = [[] for _ in rows]
    for held_out in combinations(individuals, 2):
        others = [row for row in rows if row[1] not in held_out and row[2] not in held_out]
        curve = fitted(ScoredPairs(*(np.array(column) for column in zip(*others, strict=True))))
        for place, (distance, first, second) in enumerate(rows):
            if first in held_out and second in held_out:
                said[place].append(1 / (1 + np.exp(curve.slope * distance + curve.intercept)))
    return [float(np.mean(each)) for each in said]


def share_of(same: float, different: float, all_same: float, all_different: float) -> float:
    """The share of same pairs in a bin, if both kinds had as many pairs."""
    return (same / all_same) / (same / all_same + different / all_different)


def test_bins_and_calibration_error_are_those_of_a_loop() -> None:
    pairs = case(3)
    found = reliability(pairs, BOOTSTRAP)
    assert found is not None
    said = similarities(pairs)
    rows = [(min(int(10 * s), 9), s, bool(same)) for s, same in zip(said, pairs.same, strict=True)]
    total = {kind: sum(same == kind for *_, same in rows) for kind in (True, False)}
    error, filled = 0.0, sorted({place for place, *_ in rows})
    assert [(each.low, each.high) for each in found.bins] == [(b / 10, (b + 1) / 10) for b in filled]
    assert len(filled) > 4
    for each, place in zip(found.bins, filled, strict=True):
        here = [(s, same) for b, s, same in rows if b == place]
        counts = {kind: sum(same == kind for _, same in here) for kind in (True, False)}
        weights = [0.5 / total[same] for _, same in here]
        mean = sum(w * s for w, (s, _) in zip(weights, here, strict=True)) / sum(weights)
        share = share_of(counts[True], counts[False], total[True], total[False])
        error += sum(weights) * abs(mean - share)
        assert (each.same_pairs, each.different_pairs) == (counts[True], counts[False])
        assert each.similarity == pytest.approx(mean, abs=1e-9)
        assert each.same_share.value == pytest.approx(share, abs=1e-12)
    assert found.expected_calibration_error == pytest.approx(error, abs=1e-9)
    assert found.individuals == 6


def test_intervals_of_bins_resample_whole_individuals() -> None:
    pairs = case(3)
    found = reliability(pairs, BOOTSTRAP)
    assert found is not None
    said = similarities(pairs)
    individuals = sorted(set(pairs.first.tolist()))
    shares: dict[float, list[float]] = {each.low: [] for each in found.bins}
    for drawn in drawn_counts(generator(3, "reliability"), 6, 40):
        copies = dict(zip(individuals, drawn, strict=True))
        counts = {kind: dict.fromkeys(shares, 0.0) for kind in (True, False)}
        for s, first, second in zip(said, pairs.first, pairs.second, strict=True):
            same = bool(first == second)
            low = min(int(10 * s), 9) / 10
            counts[same][low] += copies[first] if same else copies[first] * copies[second]
        for low in shares:
            same, different = counts[True][low], counts[False][low]
            if same + different:
                shares[low].append(share_of(same, different, *(sum(counts[kind].values()) for kind in (True, False))))
    for each in found.bins:
        np.testing.assert_allclose(each.same_share[1:], np.quantile(shares[each.low], [0.05, 0.95]), atol=1e-12)


@pytest.mark.parametrize(("individuals", "known"), [(3, False), (4, True)])
def test_fewer_than_four_individuals_have_no_reliability(individuals: int, known: bool) -> None:
    assert (reliability(case(0, individuals), BOOTSTRAP) is not None) == known


def test_distances_that_say_nothing_have_no_reliability() -> None:
    pairs = case(0)
    assert reliability(ScoredPairs(np.full_like(pairs.distance, 0.7), pairs.first, pairs.second), BOOTSTRAP) is None


@pytest.mark.parametrize("dense", [0, 10**9], ids=["pair by pair", "by a table"])
@pytest.mark.parametrize("at_once", [1, 1 << 22])
def test_resampled_pairs_are_those_of_a_list_of_copies(
    dense: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DENSE", dense)
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    first, second = rng.integers(5, size=(2, 60))
    bins = rng.choice([0, 1, 3], 60)
    drawn = drawn_counts(rng, 5, 7)
    found = resampled_pairs(first, second, bins, 4, drawn)
    for row, counts in zip(found, drawn, strict=True):
        expected = [0.0] * 4
        for a, b, place in zip(first, second, bins, strict=True):
            expected[place] += counts[a] if a == b else counts[a] * counts[b]
        np.testing.assert_allclose(row, expected)
    assert (resampled_pairs(first[:0], second[:0], bins[:0], 4, drawn) == 0).all()
