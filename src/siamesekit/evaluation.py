"""Evaluation: the same figures, with intervals, for the trained network, the untrained one, and raw pixels."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.calibration import (
    JUDGED,
    MAX_PAIRS,
    Calibration,
    CrossFit,
    calibrate,
    chance_of_shuffled,
    cross_fit,
    pairs_of,
    why_guessing,
)
from siamesekit.distances.distance import Distance
from siamesekit.engine.ranking import triplet_distances
from siamesekit.metrics import Interval, mean_with_interval, retrieval, triplet_accuracy
from siamesekit.randomness import generator
from siamesekit.triplets import Triplets

PIXEL_BYTES, PIXEL_PHOTOS = 256 << 20, 5_000
"""Raw pixels, as float32, and photos, beyond which the photos are averaged down: ranking pixels takes about eight times
that memory, and a photo of 128 × 128 has 49,152 values where an embedding has a few hundred."""
PIXEL_SIDE = 32
"""Of what they are then averaged down to, at most."""
PHOTOS_AT_ONCE = 64


class Figures(NamedTuple):
    """One network's figures on the test photos, means over queries but for the first (`siamesekit.metrics`).

    Attributes:
        triplet_accuracy: share of the triplets in which the positive is nearer than the negative.
        precision_at_1: share of the photos whose nearest other photo is of the same individual.
        map_at_r: average precision over the first R ranks, R being how many other photos the individual has.
        r_precision: share of hits among the first R ranks.
        mrr_at_10: reciprocal of the rank of the first hit, 0 where there is none among the first 10.
        recall_at_5: share of the photos with a hit among the first 5 ranks.
        recall_at_10: with a hit among the first 10.
        precision_at_5: share of hits among the first 5 ranks.
        precision_at_10: among the first 10.
        map_at_5: average precision over the first 5 ranks, divided by min(R, 5).
        map_at_10: over the first 10.
    """

    triplet_accuracy: Interval
    precision_at_1: Interval
    map_at_r: Interval
    r_precision: Interval
    mrr_at_10: Interval
    recall_at_5: Interval
    recall_at_10: Interval
    precision_at_5: Interval
    precision_at_10: Interval
    map_at_5: Interval
    map_at_10: Interval


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold that ships with the model, where it comes from, and what it is worth."""

    calibration: Calibration
    criterion: str
    individuals: int
    cross_fit: CrossFit | None

    def as_json(self) -> dict[str, Any]:
        """As it stands in evaluation.json and model.json."""
        fitted = self.cross_fit
        return {
            **asdict(self.calibration),
            "criterion": self.criterion,
            "individuals": self.individuals,
            "cross_fit": None
            if fitted is None
            else {
                "folds": fitted.folds,
                "same_pairs": fitted.same_pairs,
                "different_pairs": fitted.different_pairs,
                "false_accept_rate": fitted.false_accept_rate._asdict(),
                "false_reject_rate": fitted.false_reject_rate._asdict(),
                "accuracy": fitted.accuracy._asdict(),
            },
        }


def evaluate(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    triplets: Triplets,
    distance: Distance,
    confidence: float,
    resamples: int,
    seed: int,
) -> Figures:
    """Figures of embeddings `[N, D]` of photos of individuals `[N]`, with intervals over the individuals.

    A distance that is NaN ranks after all others.

    Args:
        embeddings: of the test photos.
        labels: their individuals.
        triplets: indices into them, for the triplet accuracy.
        distance: what ranks.
        confidence: of the intervals.
        resamples: of the bootstrap.
        seed: the run's; every network is resampled alike, so that their figures compare.
    """

    def mean(values: NDArray[np.float64], owners: NDArray[np.int64]) -> Interval:
        return mean_with_interval(values, owners, confidence, resamples, generator(seed, "bootstrap"))

    right = triplet_accuracy(*triplet_distances(embeddings, triplets, distance))
    per_query = retrieval(embeddings, torch.from_numpy(labels), distance)
    return Figures(
        triplet_accuracy=mean(right, labels[triplets.anchor.numpy()]),
        precision_at_1=mean(per_query.precision_at_1, labels),
        map_at_r=mean(per_query.map_at_r, labels),
        r_precision=mean(per_query.r_precision, labels),
        mrr_at_10=mean(per_query.reciprocal_rank, labels),
        **{
            f"{name}_at_{k}": mean(by_k[k], labels)
            for name, by_k in (
                ("recall", per_query.recall_at),
                ("precision", per_query.precision_at),
                ("map", per_query.average_precision_at),
            )
            for k in (5, 10)
        },
    )


def raw_pixels(images: Tensor, photos: Tensor) -> tuple[Tensor, str | None]:
    """Photos as points to compare by their pixels, 0 … 1: float32 `[n, 3 · side²]`, and a note where they are small.

    Up to `PIXEL_BYTES` and `PIXEL_PHOTOS` they are the pixels themselves. Beyond, each photo is averaged down, to
    `PIXEL_SIDE` or as little as fits: with many photos one waits for the network, not for what it is compared with.

    Args:
        images: uint8 `[N, 3, S, S]`.
        photos: int64 `[n]`, which of them.
    """
    count, full = len(photos), images.shape[-1]
    side = pixel_side(count, full)
    points = torch.empty(count, 3 * side**2)
    for start, chosen in zip(range(0, count, PHOTOS_AT_ONCE), photos.split(PHOTOS_AT_ONCE), strict=True):
        pixels = images[chosen].float() / 255
        small = pixels if side == full else F.adaptive_avg_pool2d(pixels, side)
        points[start : start + len(chosen)] = small.flatten(1)
    if side == full:
        return points, None
    return points, (f"Raw pixels were compared at {side} × {side}, averaged down from {full} × {full}, because there "
                    f"are {count:,} test photos.")  # fmt: skip


def pixel_side(count: int, side: int) -> int:
    """At which side in pixels so many photos of a side are compared by their pixels."""
    if count <= PIXEL_PHOTOS and pixel_bytes(count, side) <= PIXEL_BYTES:
        return side
    return max(1, min(side, PIXEL_SIDE, math.isqrt(PIXEL_BYTES // pixel_bytes(count, 1))))


def pixel_bytes(count: int, side: int) -> int:
    """Of so many photos' pixels as float32."""
    return 4 * count * 3 * side**2


def operating_point(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    distance: Distance,
    false_accept_rate: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[OperatingPoint | None, list[str]]:
    """Threshold and similarity from photos `[N]` of individuals that did not train, and notes on their worth.

    They come from all pairs of photos up to `calibration.MAX_PAIRS`, else from a sample of so many, as a note says.

    There are none, and a note says why, where the verdicts may be no better than guessing: where the interval of the
    cross-fitted accuracy includes 0.5, or, with fewer than four individuals, whose error rates cannot be measured,
    where labels that are shuffled do as well in more than 1 − `confidence` of all cases (`chance_of_shuffled`).
    """
    pairs = pairs_of(embeddings, labels, distance, generator(seed, "calibration pairs"), MAX_PAIRS)
    individuals = len(np.unique(labels))
    calibration = calibrate(pairs, false_accept_rate)
    if calibration is None:
        return None, ["No threshold: the distance does not tell same from different on the held-out individuals."]
    worth = cross_fit(pairs, false_accept_rate, confidence, resamples, generator(seed, "cross-fit"))
    advice = "Try: more held-out individuals (a smaller split.train), a model that tells them apart better"
    advice += ", a larger evaluation.false_accept_rate." if false_accept_rate else "."
    if worth is not None and worth.guessing:
        told = why_guessing(worth.accuracy, worth.false_accept_rate.value, worth.false_reject_rate.value)
        return None, [f"{told} That is measured on {individuals} held-out individuals. {advice}"]
    if worth is None and individuals >= JUDGED:
        return None, [f"No threshold: set on some of the {individuals} held-out individuals, it cannot be judged on "
                      f"the others. {advice}"]  # fmt: skip
    if worth is None:
        chance = chance_of_shuffled(embeddings, labels, distance, generator(seed, "shuffled labels"))
        if not chance <= 1 - confidence:
            return None, [f"No threshold: it may be no better than guessing. With {individuals} held-out individuals "
                          "its error rates cannot be measured, and photos whose individuals are shuffled look as well "
                          f"told apart in {chance:.1%} of all cases. {advice}"]  # fmt: skip
    notes = []
    if len(pairs.distance) < pairs.total:
        notes.append(f"Threshold, similarity and error rates come from {len(pairs.distance):,} of {pairs.total:,} "
                     f"pairs of photos, drawn at random: {pairs.same.sum():,} same, the others different.")  # fmt: skip
    if worth is None:
        notes.append(f"The threshold's error rates are unknown: {individuals} held-out individuals are too few; four "
                     "are needed, two to set it and two to judge it.")  # fmt: skip
    elif individuals < 20:
        notes.append(f"The threshold and its error rates rest on {individuals} held-out individuals: with so few, "
                     "expect other rates on other individuals.")  # fmt: skip
    different = int((~pairs.same).sum())
    if false_accept_rate and different * false_accept_rate < 3:
        notes.append(f"{different} different pairs are too few for a false-accept rate of {false_accept_rate:.2%}: no "
                     f"error among n pairs bounds the rate only by about 3/n, {3 / different:.2%} here.")  # fmt: skip
    criterion = (
        f"at most {false_accept_rate:.2%} of different pairs accepted"
        if false_accept_rate
        else "same and different equally likely"
    )
    return OperatingPoint(calibration, criterion, individuals, worth), notes
