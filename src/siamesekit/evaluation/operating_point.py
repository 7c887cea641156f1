"""The threshold that ships with a model: calibration, error rates on other individuals, and notes on both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.calibration import Calibration, calibrate
from siamesekit.evaluation.cross_fit import JUDGED, CrossFit, cross_fit, why_guessing
from siamesekit.evaluation.pairs import MAX_PAIRS, pairs_of
from siamesekit.evaluation.permutation import chance_of_shuffled
from siamesekit.randomness import generator


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold that ships with the model.

    Attributes:
        calibration: similarity and threshold.
        criterion: the rule that set the threshold, in words.
        individuals: number of individuals that set the threshold.
        cross_fit: error rates of the threshold; None if they are unknown.
    """

    calibration: Calibration
    criterion: str
    individuals: int
    cross_fit: CrossFit | None

    def as_json(self) -> dict[str, Any]:
        """Entry of evaluation.json and model.json."""
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


def operating_point(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    distance: Distance,
    false_accept_rate: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[OperatingPoint | None, list[str]]:
    """Fit threshold and similarity to embeddings `[N, D]` of individuals that did not train, labels `[N]`.

    All pairs of photos are used, or a random sample of `pairs.MAX_PAIRS` of them, which a note mentions.

    Returns:
        The operating point and notes on its reliability. The operating point is None, with a note on the reason, if the
        verdicts may be no better than guessing: the interval of the cross-fitted accuracy includes 0.5, or, with fewer
        than four individuals, shuffled labels do as well in more than 1 − `confidence` of all cases
        (`chance_of_shuffled`).
    """
    pairs = pairs_of(embeddings, labels, distance, generator(seed, "calibration pairs"), MAX_PAIRS)
    individuals = len(np.unique(labels))
    calibration = calibrate(pairs, false_accept_rate)
    if calibration is None:
        return None, ["No threshold: the distance does not separate same and different pairs of the test individuals."]
    worth = cross_fit(pairs, false_accept_rate, confidence, resamples, generator(seed, "cross-fit"))
    advice = "Try: more test individuals (a smaller split.train), a model that tells them apart better"
    advice += ", a larger evaluation.false_accept_rate." if false_accept_rate else "."
    if worth is not None and worth.guessing:
        reason = why_guessing(worth.accuracy, worth.false_accept_rate.value, worth.false_reject_rate.value)
        return None, [f"{reason} These rates were measured on {individuals} test individuals. {advice}"]
    if worth is None and individuals >= JUDGED:
        return None, [
            f"No threshold: a threshold set on some of the {individuals} test individuals cannot be judged on "
            f"the others. {advice}"
        ]
    if worth is None:
        chance = chance_of_shuffled(embeddings, labels, distance, generator(seed, "shuffled labels"))
        if not chance <= 1 - confidence:
            return None, [
                f"No threshold: its verdicts may be no better than guessing. {individuals} test individuals are too "
                f"few to measure its error rates ({JUDGED} are needed), and shuffled labels are separated as well in "
                f"{chance:.1%} of all cases. {advice}"
            ]
    notes = []
    if len(pairs.distance) < pairs.total:
        notes.append(
            f"Threshold, similarity and error rates come from {len(pairs.distance):,} of {pairs.total:,} "
            f"pairs of photos, drawn at random: {pairs.same.sum():,} same, the others different."
        )
    if worth is None:
        notes.append(
            f"The threshold's error rates are unknown: {individuals} test individuals are too few; four "
            "are needed, two to set it and two to judge it."
        )
    elif individuals < 20:
        notes.append(
            f"The threshold and its error rates come from only {individuals} test individuals: "
            "expect other rates for other individuals."
        )
    different = int((~pairs.same).sum())
    if false_accept_rate and different * false_accept_rate < 3:
        notes.append(
            f"{different} different pairs are too few for a false-accept rate of {false_accept_rate:.2%}: even "
            f"without any error, n pairs only show that the rate is below about 3/n, here {3 / different:.2%}."
        )
    criterion = (
        f"at most {false_accept_rate:.2%} of different pairs accepted"
        if false_accept_rate
        else "same and different equally likely"
    )
    return OperatingPoint(calibration, criterion, individuals, worth), notes
