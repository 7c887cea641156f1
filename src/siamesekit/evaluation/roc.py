"""ROC curve of scored pairs, with its area, equal error rate and true accept rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.pairs import ScoredPairs


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
