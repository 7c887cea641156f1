"""From a distance to a probability and a verdict, learnt from individuals that did not train the network.

Pairs of photos of the held-out individuals are *same* or *different*. A logistic curve through their distances
gives the similarity, the probability of "same" if both were equally frequent; the threshold is a distance. What a
threshold is worth is measured on pairs of individuals other than those that set it (`cross_fit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.distances.distance import Distance, DistanceLike, as_distance
from siamesekit.labels import Labels, label_array, labels_of
from siamesekit.metrics import Floats, Interval, interval

MAX_PAIRED_FOLDS = 12
"""Up to so many individuals each pair of them is held out in turn; beyond, a fold of several."""
FOLDS = 5
MAX_PAIRS = 2_000_000
"""Beyond so many pairs of photos, those of 2000, a sample of so many is used."""
CHUNK = 4096
"""Pairs compared at a time."""
GUESSING = 0.5
"""The accuracy of a coin, same and different pairs weighing equally."""
JUDGED = 4
"""Individuals that a cross-fit needs: two set the threshold and two judge it."""
SHUFFLES = 999
"""How often a permutation test shuffles the labels."""
SHUFFLED_PHOTOS = 300
"""A permutation test takes at most so many photos; of more, a random sample."""


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs i < j of photos of held-out individuals, with their distances.

    Attributes:
        distance: float64 `[P]`.
        first: int64 `[P]`, the individual of photo i.
        second: int64 `[P]`, the individual of photo j.
        total: how many pairs the photos make, P or more; 0 where nobody counted.
    """

    distance: Floats
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    total: int = 0

    @property
    def same(self) -> NDArray[np.bool_]:
        """Whether both photos are of one individual, `[P]`."""
        same: NDArray[np.bool_] = self.first == self.second
        return same

    def among(self, individuals: NDArray[np.int64]) -> ScoredPairs:
        """The pairs both of whose photos are of these individuals, int64 `[I]`."""
        kept = np.isin(self.first, individuals) & np.isin(self.second, individuals)
        return ScoredPairs(self.distance[kept], self.first[kept], self.second[kept])


class RocCurve(NamedTuple):
    """What each threshold would accept, the distinct distances as thresholds, before them one that accepts nothing.

    Attributes:
        threshold: float64 `[T + 1]`, ascending from −∞; a pair is accepted where its distance is no larger.
        false_accept_rate: `[T + 1]`, share of the different pairs that is accepted, 0 … 1.
        true_accept_rate: `[T + 1]`, share of the same pairs that is accepted, 0 … 1.
    """

    threshold: Floats
    false_accept_rate: Floats
    true_accept_rate: Floats


@dataclass(frozen=True)
class Calibration:
    """The operating point: similarity = 1 / (1 + exp(slope · distance + intercept)), same if distance ≤ threshold."""

    slope: float
    intercept: float
    threshold: float

    def similarity(self, distance: float) -> float:
        """The probability that two photos at this distance show one individual, 0 … 1, both being as frequent."""
        return float(_sigmoid(np.array(-self.slope * distance - self.intercept)))

    def same(self, distance: float) -> bool:
        """The verdict."""
        return distance <= self.threshold


@dataclass(frozen=True)
class CrossFit:
    """What the threshold is worth, measured on individuals other than those that set it.

    Attributes:
        folds: how many times individuals were held out.
        same_pairs: distinct pairs of one individual that were judged.
        different_pairs: distinct pairs of two individuals that were judged.
        false_accept_rate: share of different pairs called same.
        false_reject_rate: share of same pairs called different.
        accuracy: mean of the shares that were right, same and different weighing equally.
    """

    folds: int
    same_pairs: int
    different_pairs: int
    false_accept_rate: Interval
    false_reject_rate: Interval
    accuracy: Interval

    @property
    def guessing(self) -> bool:
        """Whether the rates' intervals do not exclude that the verdicts are guessed (`includes_guessing`)."""
        return includes_guessing(self.accuracy)


def pairs_of(
    embeddings: Tensor,
    labels: Labels,
    distance: DistanceLike,
    rng: np.random.Generator,
    most: int = MAX_PAIRS,
) -> ScoredPairs:
    """Pairs i < j of photos with their distances: all, or of too many a sample (`choose_pairs`).

    Args:
        embeddings: `[N, D]`.
        labels: `[N]`, the photos' individuals.
        distance: a distance, its name, or a table with its name and options; taken pair by pair, so that no `[N, N]`
            is needed.
        rng: draws the sample.
        most: how many pairs at most.
    """
    labels, distance = label_array(labels_of(embeddings, labels)), as_distance(distance)
    i, j = choose_pairs(labels, rng, most)
    first, second = torch.from_numpy(i), torch.from_numpy(j)
    with torch.no_grad():
        distances = [
            distance(embeddings[a], embeddings[b]).double().cpu()
            for a, b in zip(first.split(CHUNK), second.split(CHUNK), strict=True)
        ]
    return ScoredPairs(torch.cat(distances).numpy(), labels[i], labels[j], len(labels) * (len(labels) - 1) // 2)


def choose_pairs(labels: Labels, rng: np.random.Generator, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs i < j of N photos, `[P]` and `[P]`: all if these are no more than `most`, else a random sample of `most`.

    The sample keeps all same pairs, or `most` / 2 of them drawn at random where there are more; the rest are drawn
    at random from the different pairs. Memory is O(N + most).
    """
    labels = label_array(labels)
    size = len(labels)
    if size * (size - 1) // 2 <= most:
        return np.triu_indices(size, k=1)
    # in order of individuals a photo makes a same pair with the earlier ones of its own, and a different pair with
    # all before those
    order = np.argsort(labels, kind="stable")
    _, first, photos = np.unique(labels[order], return_index=True, return_counts=True)
    start = np.repeat(first, photos)
    chosen = _pairs_with(start, np.arange(size), most // 2, rng)
    different = _pairs_with(np.zeros_like(start), start, most - chosen.shape[1], rng)
    low, high = np.sort(order[np.concatenate([chosen, different], axis=1)], axis=0)
    return low, high


def _pairs_with(
    start: NDArray[np.int64], stop: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """So many distinct pairs of a place p with one of start[p] … stop[p] − 1, `[2, count]`, each set of them as likely.

    All where there are no more. They are numbered by p: nothing is drawn that has to be thrown away.
    """
    partners = stop - start
    ends = np.cumsum(partners)
    number = _distinct(int(ends[-1]), min(int(ends[-1]), count), rng)
    place = np.searchsorted(ends, number, side="right")
    return np.stack([start[place] + number - (ends - partners)[place], place])


def _distinct(total: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """So many of 0 … total − 1, each set of them as likely, ascending."""
    if total <= 8 * count:  # drawing until there are so many new ones would take long
        return np.sort(rng.permutation(total)[:count])
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        found = np.union1d(found, rng.integers(total, size=count))
    return np.sort(rng.permutation(found)[:count])


def calibrate(pairs: ScoredPairs, false_accept_rate: float = 0.0) -> Calibration | None:
    """Fit the similarity and the threshold.

    The curve is a logistic regression in which same and different pairs weigh equally, towards Platt's softened
    targets (Platt 1999), here equally soft on both sides, so that it stays finite where the two are separable. The
    threshold is where it says 0.5, or, with `false_accept_rate` above 0, the largest distance at which no larger
    share of different pairs lies.

    Returns:
        None where there is nothing to fit: no same or no different pair, a distance that does not grow from the ones
        to the others, or grows so little that the curve crosses 0.5 at no distance that occurs.
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
        allowed = int((shares <= false_accept_rate).sum())  # so many may be accepted
        threshold = float(np.nextafter(different[allowed], -np.inf)) if allowed < len(different) else different[-1]
    return Calibration(float(slope), float(intercept), float(threshold))


def includes_guessing(accuracy: Interval) -> bool:
    """Whether a cross-fitted accuracy's interval reaches down to 0.5, or there is no interval that could exclude it.

    The accuracy is 1 − (FAR + FRR) / 2, so that 0.5 is where as large a share of different pairs is accepted as of
    same pairs: at whatever threshold, a coin does as well.
    """
    return accuracy.low is None or not accuracy.low > GUESSING


def why_guessing(accuracy: Interval, false_accept: float, false_reject: float) -> str:
    """Why a threshold whose accuracy's interval includes guessing is not used, with its figures, in one sentence."""
    between = "" if accuracy.low is None or accuracy.high is None else f" ({accuracy.low:.1%} to {accuracy.high:.1%})"
    return (
        "No threshold: verdicts by it may be no better than guessing. Judged on individuals other than those that set "
        f"it, {accuracy.value:.1%}{between} of them were right, where guessing gives {GUESSING:.0%}; "
        f"{false_accept:.1%} of different pairs were called same, {false_reject:.1%} of same pairs different."
    )


def chance_of_shuffled(
    embeddings: Tensor, labels: NDArray[np.int64], distance: Distance, rng: np.random.Generator
) -> float:
    """How probable same pairs as near as these are where the labels say nothing: a permutation test's p-value, 0 … 1.

    The statistic is the mean rank of the same pairs among all pairs (Mann-Whitney U); the labels are shuffled
    `SHUFFLES` times, and the p-value is (1 + how often they do as well) / (1 + `SHUFFLES`) (Phipson, Smyth 2010).

    Args:
        embeddings: `[N, D]`.
        labels: int64 `[N]`, the photos' individuals.
        distance: of the pairs.
        rng: shuffles, and draws a sample of more than `SHUFFLED_PHOTOS` photos.
    """
    if len(labels) > SHUFFLED_PHOTOS:
        drawn = rng.permutation(len(labels))[:SHUFFLED_PHOTOS]
        embeddings, labels = embeddings[torch.from_numpy(drawn)], labels[drawn]
    pairs = pairs_of(embeddings, labels, distance, rng, most=len(labels) ** 2)
    first, second = np.triu_indices(len(labels), k=1)
    _, place, ties = np.unique(pairs.distance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(ties) - (ties - 1) / 2)[place]
    real = rank[pairs.same].sum()  # as many pairs are same after a shuffle, so that the sum tells what the mean does
    shuffled = (rng.permutation(labels) for _ in range(SHUFFLES))
    as_near = sum(rank[other[first] == other[second]].sum() <= real + 1e-9 * abs(real) for other in shuffled)
    return float((1 + as_near) / (1 + SHUFFLES))


def roc_curve(pairs: ScoredPairs) -> RocCurve:
    """The receiver operating characteristic: false and true accept rates of all thresholds.

    Raises:
        ValueError: there is no same or no different pair, or a distance is NaN.
    """
    same = pairs.same
    if not same.any() or same.all() or np.isnan(pairs.distance).any():
        raise ValueError("a ROC curve needs same and different pairs, and distances that are no NaN")
    threshold = np.unique(pairs.distance)
    false, true = (
        np.searchsorted(np.sort(distances), threshold, side="right") / len(distances)
        for distances in (pairs.distance[~same], pairs.distance[same])
    )
    return RocCurve(*(np.concatenate([[least], values]) for least, values in
                      ((-np.inf, threshold), (0.0, false), (0.0, true))))  # fmt: skip


def roc_auc(pairs: ScoredPairs) -> float:
    """Area under the ROC curve, 0 … 1: the share of (same, different) couples with the same pair nearer, ties a half.

    It needs what `roc_curve` does.

    >>> first, second = np.array([0, 1, 0, 0]), np.array([0, 1, 1, 1])
    >>> roc_auc(ScoredPairs(np.array([1.0, 3.0, 2.0, 4.0]), first, second))  # 1 before 2 and 4, 3 before 4
    0.75
    """
    _, false, true = roc_curve(pairs)
    return float((np.diff(false) * (true[1:] + true[:-1]) / 2).sum())


def equal_error_rate(pairs: ScoredPairs) -> float:
    """Where as large a share of different pairs is accepted as of same pairs is rejected, 0 … 1.

    On the ROC curve, straight between its points. It needs what `roc_curve` does.
    """
    _, false, true = roc_curve(pairs)
    excess = false - (1 - true)  # grows from −1 to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def true_accept_rate(pairs: ScoredPairs, false_accept_rate: float) -> float:
    """TAR at a FAR: the largest share of same pairs that a threshold accepts which accepts no larger share of others.

    `false_accept_rate` is 0 … 1; no threshold lies between the pairs' distances, so that it may not be used up. It
    needs what `roc_curve` does.
    """
    _, false, true = roc_curve(pairs)
    return float(true[false <= false_accept_rate].max())


def cross_fit(
    pairs: ScoredPairs, false_accept_rate: float, confidence: float, resamples: int, rng: np.random.Generator
) -> CrossFit | None:
    """Set the threshold on some individuals, judge the pairs among the others, over all folds.

    Few individuals are held out two by two, every two of them; more than that in five random groups. A pair that
    several folds judge counts with the mean of their verdicts.

    Returns:
        None with fewer than four individuals: two must set the threshold and two others judge it.
    """
    individuals = np.unique(np.concatenate([pairs.first, pairs.second]))
    if len(individuals) < JUDGED:
        return None
    accepted = np.zeros(len(pairs.distance))
    judged = np.zeros(len(pairs.distance))
    folds = 0
    for held_out in _folds(individuals, rng):
        calibration = calibrate(pairs.among(np.setdiff1d(individuals, held_out)), false_accept_rate)
        if calibration is None:
            continue
        inside = np.isin(pairs.first, held_out) & np.isin(pairs.second, held_out)
        judged += inside
        accepted += inside & (pairs.distance <= calibration.threshold)
        folds += 1
    seen = judged > 0
    same, different = seen & pairs.same, seen & ~pairs.same
    if not same.any() or not different.any():
        return None
    share = np.divide(accepted, judged, out=np.zeros_like(accepted), where=seen)
    first, second = np.searchsorted(individuals, pairs.first), np.searchsorted(individuals, pairs.second)
    drawn = np.stack([np.bincount(rng.integers(len(individuals), size=len(individuals)), minlength=len(individuals))
                      for _ in range(resamples)])  # fmt: skip

    def rate(chosen: NDArray[np.bool_], values: Floats, diagonal: bool) -> tuple[float, Floats]:
        # Sums per (pair of) individuals, so that a resample is a small product. Of an individual that is drawn
        # twice, the two copies make no "different" pairs, so those weigh by the product of two distinct counts.
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
        accuracy=interval(1 - (false_accept + false_reject) / 2, lambda: 1 - (false_accepts + false_rejects) / 2,
                          len(individuals), confidence),
    )  # fmt: skip


def _folds(individuals: NDArray[np.int64], rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    if len(individuals) <= MAX_PAIRED_FOLDS:
        yield from (np.array(two) for two in combinations(individuals, 2))
    else:
        yield from np.array_split(rng.permutation(individuals), FOLDS)


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
