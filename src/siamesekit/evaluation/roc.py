"""ROC curve of scored pairs, with its area, equal error rate and true accept rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval, drawn_counts, interval
from siamesekit.evaluation.pair_resamples import resampled_pairs
from siamesekit.evaluation.pairs import ScoredPairs
from siamesekit.randomness import generator

LEVELS = 128
"""Most distances by which pairs are ordered in the resamples of a bootstrap."""
POINTS = 200
"""Most points of a curve that is drawn or written."""


class RocCurve(NamedTuple):
    """Accept rates by threshold. The thresholds are −∞, which accepts no pair, and the T distinct distances.

    Attributes:
        threshold: float64 `[T + 1]`, ascending; a pair is accepted if its distance is at most the threshold.
        false_accept_rate: `[T + 1]`, share of different pairs that are accepted, 0 … 1.
        true_accept_rate: `[T + 1]`, share of same pairs that are accepted, 0 … 1.
    """

    threshold: Floats
    false_accept_rate: Floats
    true_accept_rate: Floats


class RocFigures(NamedTuple):
    """Figures of a ROC curve with intervals over individuals.

    Attributes:
        area: area under the curve (`roc_auc`).
        equal_error_rate: equal error rate (`equal_error_rate`).
    """

    area: Interval
    equal_error_rate: Interval


def roc_curve(pairs: ScoredPairs) -> RocCurve:
    """Compute the receiver operating characteristic: false and true accept rates of all thresholds.

    Raises:
        ValueError: there is no same or no different pair, or a distance is NaN.
    """
    same = pairs.same
    if not same.any() or same.all() or np.isnan(pairs.distance).any():
        raise ValueError("a ROC curve needs same and different pairs, and distances without NaN")
    threshold = np.unique(pairs.distance)
    false, true = (
        np.searchsorted(np.sort(distances), threshold, side="right") / len(distances)
        for distances in (pairs.distance[~same], pairs.distance[same])
    )
    return RocCurve(
        *(np.concatenate([[least], values]) for least, values in ((-np.inf, threshold), (0.0, false), (0.0, true)))
    )


def roc_auc(pairs: ScoredPairs) -> float:
    """Area under the ROC curve, 0 … 1: the probability that a same pair is nearer than a different pair, ties as half.

    Arguments and errors are those of `roc_curve`.

    >>> first, second = np.array([0, 1, 0, 0]), np.array([0, 1, 1, 1])
    >>> roc_auc(ScoredPairs(np.array([1.0, 3.0, 2.0, 4.0]), first, second))  # 1 before 2 and 4, 3 before 4
    0.75
    """
    _, false, true = roc_curve(pairs)
    return float((np.diff(false) * (true[1:] + true[:-1]) / 2).sum())


def equal_error_rate(pairs: ScoredPairs) -> float:
    """Equal error rate, 0 … 1: the false accept rate at which it equals the false reject rate.

    The ROC curve is interpolated linearly. Arguments and errors are those of `roc_curve`.
    """
    _, false, true = roc_curve(pairs)
    excess = false - (1 - true)  # grows from −1 to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def true_accept_rate(pairs: ScoredPairs, false_accept_rate: float) -> float:
    """TAR at a FAR: the largest true accept rate of a threshold whose false accept rate is at most the given one.

    Thresholds are the distances of the pairs, so the false accept rate may be below `false_accept_rate`, 0 … 1. Errors
    are those of `roc_curve`.
    """
    _, false, true = roc_curve(pairs)
    return float(true[false <= false_accept_rate].max())


def roc_figures(pairs: ScoredPairs, bootstrap: Bootstrap) -> RocFigures:
    """Area and equal error rate with bootstrap intervals over individuals; errors are those of `roc_curve`.

    The resamples order the pairs by at most `LEVELS` distances, so that the limits of the intervals are rounded.
    """
    individuals = np.unique(np.concatenate([pairs.first, pairs.second]))
    levels = np.unique(pairs.distance)
    if len(levels) > LEVELS:
        levels = np.unique(np.quantile(pairs.distance, np.linspace(0, 1, LEVELS), method="inverted_cdf"))
    level = np.searchsorted(levels, pairs.distance)
    first, second = (np.searchsorted(individuals, labels) for labels in (pairs.first, pairs.second))
    drawn = drawn_counts(generator(bootstrap.seed, "roc"), len(individuals), bootstrap.resamples)
    true, false = (
        _cumulative_shares(resampled_pairs(first[kind], second[kind], level[kind], len(levels), drawn))
        for kind in (pairs.same, ~pairs.same)
    )
    areas = (np.diff(false) * (true[:, 1:] + true[:, :-1]) / 2).sum(axis=1)
    excess = false - (1 - true)
    after = np.argmax(excess >= 0, axis=1)  # 0 only if a resample has no pair: NaN below
    rows = np.arange(len(excess))
    before, above = excess[rows, after - 1], excess[rows, after]
    share = -before / (above - before)
    errors = false[rows, after - 1] + share * (false[rows, after] - false[rows, after - 1])
    count, confidence = len(individuals), bootstrap.confidence
    return RocFigures(
        interval(roc_auc(pairs), lambda: areas, count, confidence),
        interval(equal_error_rate(pairs), lambda: errors, count, confidence),
    )


def thinned(curve: RocCurve, points: int = POINTS) -> RocCurve:
    """At most so many points of the curve, both ends among them, at about equal distances along it."""
    along = curve.false_accept_rate + curve.true_accept_rate  # 0 … 2
    kept = np.unique(np.searchsorted(along, np.linspace(0, 2, points)).clip(max=len(along) - 1))
    return RocCurve(*(values[kept] for values in curve))


def _cumulative_shares(counts: Floats) -> Floats:
    """Shares of pairs up to each level, from 0: numbers of pairs `[R, L]` → `[R, L + 1]`, NaN without pairs."""
    with np.errstate(invalid="ignore"):
        shares = counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True)
    return np.concatenate([0 * shares[:, :1], shares], axis=1)
