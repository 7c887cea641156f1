"""Reliability of the similarity: is it the share of same pairs, on individuals other than those that it was fitted to?

The similarity is the probability of "same" if same and different pairs are equally frequent. So here, too, both kinds
of pairs have equal total weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siamesekit.evaluation.cross_fit import JUDGED, fitted_folds
from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval, drawn_counts, interval
from siamesekit.evaluation.pair_resamples import resampled_pairs
from siamesekit.evaluation.pairs import ScoredPairs
from siamesekit.randomness import generator

BINS = 10
"""Number of bins of equal width."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The pairs whose similarity is in one bin.

    Attributes:
        low: lower end of the bin; pairs at it are in the bin.
        high: upper end; pairs at it are in the next bin, those at 1 in the last.
        similarity: mean similarity of the pairs, same and different ones weighted equally.
        same_share: share of same pairs, weighted likewise.
        same_pairs: number of same pairs.
        different_pairs: number of different pairs.
    """

    low: float
    high: float
    similarity: float
    same_share: Interval
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True)
class Reliability:
    """Similarities, compared with the shares of same pairs.

    Attributes:
        bins: the bins that have pairs, ascending.
        expected_calibration_error: mean over the pairs, weighted as above, of the difference between the mean
            similarity and the share of same pairs of their bin, 0 … 1 (Naeini, Cooper, Hauskrecht 2015).
        individuals: number of individuals.
    """

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float
    individuals: int


def reliability(pairs: ScoredPairs, bootstrap: Bootstrap, bins: int = BINS) -> Reliability | None:
    """Compare cross-fitted similarities with the shares of same pairs, with bootstrap intervals over individuals.

    The similarity of a pair is the mean over the folds that judge it (`cross_fit`).

    Returns:
        None with fewer than four individuals, or if no same or no different pair could be judged.
    """
    individuals = np.unique(np.concatenate([pairs.first, pairs.second]))
    if len(individuals) < JUDGED:
        return None
    total, folds = np.zeros(len(pairs.distance)), np.zeros(len(pairs.distance))
    for calibration, inside in fitted_folds(pairs, 0.0, generator(bootstrap.seed, "reliability folds")):
        total[inside] += calibration.similarities(pairs.distance[inside])
        folds += inside
    seen = folds > 0
    same = pairs.same[seen]
    if not same.any() or same.all():
        return None
    similarity = total[seen] / folds[seen]
    place = np.minimum((similarity * bins).astype(np.int64), bins - 1)
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    mass = np.bincount(place, weight, minlength=bins)
    filled = np.flatnonzero(mass)
    mean = np.bincount(place, weight * similarity, minlength=bins)[filled] / mass[filled]
    share = np.bincount(place, weight * same, minlength=bins)[filled] / mass[filled]
    drawn = drawn_counts(generator(bootstrap.seed, "reliability"), len(individuals), bootstrap.resamples)
    first, second = (np.searchsorted(individuals, labels[seen]) for labels in (pairs.first, pairs.second))
    resampled = _shares(
        *(resampled_pairs(first[kind], second[kind], place[kind], bins, drawn) for kind in (same, ~same))
    )
    counts = [np.bincount(place[kind], minlength=bins) for kind in (same, ~same)]
    return Reliability(
        tuple(
            ReliabilityBin(
                low=bin_ / bins,
                high=(bin_ + 1) / bins,
                similarity=float(mean[row]),
                same_share=interval(share[row], resampled[:, bin_].copy, len(individuals), bootstrap.confidence),
                same_pairs=int(counts[0][bin_]),
                different_pairs=int(counts[1][bin_]),
            )
            for row, bin_ in enumerate(filled.tolist())
        ),
        float((mass[filled] * np.abs(mean - share)).sum()),
        len(individuals),
    )


def _shares(same: Floats, different: Floats) -> Floats:
    """Share of same pairs in each bin, both kinds weighted equally: numbers of pairs `[R, B]` → `[R, B]`."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a bin without pairs is NaN
        same, different = (kind / kind.sum(axis=1, keepdims=True) for kind in (same, different))
        shares: Floats = same / (same + different)
    return shares
