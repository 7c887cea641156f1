"""Error rates of a threshold, measured on individuals other than those that set it (cross-fitting).

The individuals are divided into folds. The threshold for a fold is fitted on the pairs among all other individuals and
judged on the pairs among the individuals of the fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from siamesekit.evaluation.calibration import Calibration, calibrate
from siamesekit.evaluation.intervals import Floats, Interval, interval
from siamesekit.evaluation.pairs import ScoredPairs

MAX_PAIRED_FOLDS = 12
"""Maximum number of individuals for which each pair of individuals is a fold; more are divided into `FOLDS` folds."""
FOLDS = 5
GUESSING = 0.5
"""Accuracy of guessing, if same and different pairs have equal weight."""
JUDGED = 4
"""Minimum number of individuals for a cross-fit: two set the threshold and two judge it."""


@dataclass(frozen=True)
class CrossFit:
    """Error rates of the threshold, measured on individuals other than those that set it.

    Attributes:
        folds: number of folds that were judged.
        same_pairs: number of distinct judged pairs of one individual.
        different_pairs: number of distinct judged pairs of two individuals.
        false_accept_rate: share of different pairs called same.
        false_reject_rate: share of same pairs called different.
        accuracy: share of right verdicts, with equal weight for same and different pairs.
    """

    folds: int
    same_pairs: int
    different_pairs: int
    false_accept_rate: Interval
    false_reject_rate: Interval
    accuracy: Interval

    @property
    def guessing(self) -> bool:
        """Whether the verdicts may be no better than guessing (`includes_guessing`)."""
        return includes_guessing(self.accuracy)


def cross_fit(
    pairs: ScoredPairs, false_accept_rate: float, confidence: float, resamples: int, rng: np.random.Generator
) -> CrossFit | None:
    """Measure the error rates of a threshold over all folds (see the module).

    With at most `MAX_PAIRED_FOLDS` individuals, each pair of individuals is a fold; otherwise there are five random
    folds. A pair that several folds judge counts with the mean of their verdicts.

    Returns:
        None with fewer than four individuals, because two must set the threshold and two others judge it, or if no
        same or no different pair could be judged.
    """
    individuals = np.unique(np.concatenate([pairs.first, pairs.second]))
    if len(individuals) < JUDGED:
        return None
    accepted = np.zeros(len(pairs.distance))
    judged = np.zeros(len(pairs.distance))
    folds = 0
    for calibration, inside in fitted_folds(pairs, false_accept_rate, rng):
        judged += inside
        accepted += inside & (pairs.distance <= calibration.threshold)
        folds += 1
    seen = judged > 0
    same, different = seen & pairs.same, seen & ~pairs.same
    if not same.any() or not different.any():
        return None
    share = np.divide(accepted, judged, out=np.zeros_like(accepted), where=seen)
    first, second = np.searchsorted(individuals, pairs.first), np.searchsorted(individuals, pairs.second)
    drawn = np.stack(
        [
            np.bincount(rng.integers(len(individuals), size=len(individuals)), minlength=len(individuals))
            for _ in range(resamples)
        ]
    )

    def rate(chosen: NDArray[np.bool_], values: Floats, diagonal: bool) -> tuple[float, Floats]:
        # Sums per (pair of) individuals make a resample a small matrix product. The two copies of an individual that
        # is drawn twice form no "different" pair, so a different pair weighs by the product of two distinct counts.
        size = len(individuals)
        sums, counts = np.zeros((size, size)), np.zeros((size, size))
        np.add.at(sums, (first[chosen], second[chosen]), values[chosen])
        np.add.at(counts, (first[chosen], second[chosen]), 1)
        if diagonal:
            resampled = [drawn @ np.diag(matrix) for matrix in (sums, counts)]
        else:
            resampled = [((drawn @ matrix) * drawn).sum(axis=1) for matrix in (sums, counts)]
        with np.errstate(invalid="ignore"):
            return float(values[chosen].mean()), resampled[0] / resampled[1]

    false_accept, false_accepts = rate(different, share, diagonal=False)
    false_reject, false_rejects = rate(same, 1 - share, diagonal=True)
    return CrossFit(
        folds=folds,
        same_pairs=int(same.sum()),
        different_pairs=int(different.sum()),
        false_accept_rate=interval(false_accept, lambda: false_accepts, len(individuals), confidence),
        false_reject_rate=interval(false_reject, lambda: false_rejects, len(individuals), confidence),
        accuracy=interval(
            1 - (false_accept + false_reject) / 2,
            lambda: 1 - (false_accepts + false_rejects) / 2,
            len(individuals),
            confidence,
        ),
    )


def fitted_folds(
    pairs: ScoredPairs, false_accept_rate: float, rng: np.random.Generator
) -> Iterator[tuple[Calibration, NDArray[np.bool_]]]:
    """For each fold, a calibration fitted on the pairs among all other individuals, and the pairs `[P]` that it judges.

    Folds whose calibration cannot be fitted are left out.
    """
    individuals = np.unique(np.concatenate([pairs.first, pairs.second]))
    for held_out in _folds(individuals, rng):
        calibration = calibrate(pairs.among(np.setdiff1d(individuals, held_out)), false_accept_rate)
        if calibration is not None:
            yield calibration, np.isin(pairs.first, held_out) & np.isin(pairs.second, held_out)


def includes_guessing(accuracy: Interval) -> bool:
    """Whether the interval of a cross-fitted accuracy includes 0.5 or less; True without an interval.

    The accuracy is 1 − (FAR + FRR) / 2. At 0.5, the shares of same and of different pairs that are accepted are equal,
    as with guessing at any rate.
    """
    return accuracy.low is None or not accuracy.low > GUESSING


def why_guessing(accuracy: Interval, false_accept: float, false_reject: float) -> str:
    """Message for a threshold that is not used because its verdicts may be guesses, with its error rates."""
    between = "" if accuracy.low is None or accuracy.high is None else f" ({accuracy.low:.1%} to {accuracy.high:.1%})"
    return (
        "No threshold: its verdicts may be no better than guessing. On individuals other than those that set it, "
        f"{accuracy.value:.1%}{between} of the verdicts were right, and guessing gives {GUESSING:.0%}; "
        f"{false_accept:.1%} of different pairs were called same, {false_reject:.1%} of same pairs different."
    )


def _folds(individuals: NDArray[np.int64], rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    if len(individuals) <= MAX_PAIRED_FOLDS:
        yield from (np.array(two) for two in combinations(individuals, 2))
    else:
        yield from np.array_split(rng.permutation(individuals), FOLDS)
