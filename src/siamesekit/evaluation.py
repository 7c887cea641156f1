"""Evaluation: the same figures, with intervals, for the trained network, the untrained one, and raw pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.calibration import MAX_PAIRS, Calibration, CrossFit, calibrate, cross_fit, pairs_of
from siamesekit.distances.distance import Distance
from siamesekit.engine.training import triplet_distances
from siamesekit.metrics import Interval, mean_with_interval, retrieval, triplet_accuracy
from siamesekit.randomness import generator
from siamesekit.triplets import Triplets


class Figures(NamedTuple):
    """One network's figures on the test photos."""

    triplet_accuracy: Interval
    precision_at_1: Interval
    map_at_r: Interval


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
    )


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
    """
    pairs = pairs_of(embeddings, labels, distance, generator(seed, "calibration pairs"), MAX_PAIRS)
    individuals = len(np.unique(labels))
    calibration = calibrate(pairs, false_accept_rate)
    if calibration is None:
        return None, ["No threshold: the distance does not tell same from different on the held-out individuals."]
    worth = cross_fit(pairs, false_accept_rate, confidence, resamples, generator(seed, "cross-fit"))
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
