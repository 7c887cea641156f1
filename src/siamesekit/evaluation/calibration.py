"""From a distance to a probability and a verdict, fitted on individuals that did not train the network.

Pairs of photos of these individuals are *same* or *different*. A logistic curve over their distances gives the
similarity: the probability of "same" if same and different pairs were equally frequent. The threshold is a distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # `siamesekit.runtime` calibrates without torch
    from siamesekit.evaluation.intervals import Floats
    from siamesekit.evaluation.pairs import ScoredPairs


@dataclass(frozen=True)
class Calibration:
    """The operating point: similarity = 1 / (1 + exp(slope · distance + intercept)), same if distance ≤ threshold."""

    slope: float
    intercept: float
    threshold: float

    def similarity(self, distance: float) -> float:
        """Probability that two photos at this distance show one individual, 0 … 1, for equally many same and different
        pairs.
        """
        return float(self.similarities(np.array(distance)))

    def similarities(self, distances: Floats) -> Floats:
        """The similarity at each distance, `[...]`."""
        return _sigmoid(-self.slope * distances - self.intercept)

    def same(self, distance: float) -> bool:
        """Verdict: whether two photos at this distance are called the same individual."""
        return distance <= self.threshold


def calibrate(pairs: ScoredPairs, false_accept_rate: float = 0.0) -> Calibration | None:
    """Fit the similarity and the threshold.

    The curve is a logistic regression in which same and different pairs have equal total weight. Its targets are
    softened after Platt (1999), here by the same amount for both kinds, so that the curve stays finite for separable
    pairs. The threshold is the distance of similarity 0.5, or, with `false_accept_rate` above 0, the largest distance
    that accepts at most this share of different pairs.

    Returns:
        None if the fit is impossible: there is no same or no different pair, a distance is NaN or infinite, different
        pairs are not farther apart than same pairs, or the curve crosses 0.5 outside the range of the distances.
    """
    same = pairs.same
    if not same.any() or same.all() or not np.isfinite(pairs.distance).all():
        return None
    fitted = _logistic(pairs.distance, same)
    if fitted is None:
        return None
    slope, intercept = fitted
    threshold = -intercept / slope
    if not pairs.distance.min() <= threshold <= pairs.distance.max():
        return None
    if false_accept_rate > 0:
        different = np.sort(pairs.distance[~same])
        shares = np.arange(1, len(different) + 1) / len(different)
        allowed = int((shares <= false_accept_rate).sum())  # number of different pairs that may be accepted
        threshold = float(np.nextafter(different[allowed], -np.inf)) if allowed < len(different) else different[-1]
    return Calibration(float(slope), float(intercept), float(threshold))


def _logistic(distance: Floats, same: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Slope and intercept of P(same) = 1/(1 + exp(slope·d + intercept)), by Newton's method; None unless slope > 0."""
    positives, negatives = int(same.sum()), int((~same).sum())
    soft = 1 / (min(positives, negatives) + 2)
    target = np.where(same, 1 - soft, soft)
    weight = np.where(same, 0.5 / positives, 0.5 / negatives)
    if distance.min() == distance.max():
        return None
    mean, spread = distance.mean(), distance.std()
    design = np.stack([-(distance - mean) / spread, -np.ones_like(distance)], axis=1)
    beta = np.zeros(2)

    def cost(candidate: Floats) -> float:
        logits = design @ candidate
        return float((weight * (np.logaddexp(0, logits) - target * logits)).sum())

    for _ in range(100):
        p = _sigmoid(design @ beta)
        gradient = design.T @ (weight * (p - target))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step, scale, before = np.linalg.solve(hessian, gradient), 1.0, cost(beta)
        while cost(beta - scale * step) > before and scale > 1e-8:
            scale /= 2
        beta = beta - scale * step
        if np.abs(scale * step).max() < 1e-10:
            break
    slope = beta[0] / spread
    return (slope, beta[1] - slope * mean) if slope > 0 else None


def _sigmoid(x: Floats) -> Floats:
    result: Floats = np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))
    return result
