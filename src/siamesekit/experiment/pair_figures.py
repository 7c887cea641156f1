"""Figures of verdicts on pairs, for evaluation.json and the report: ROC curve, and reliability of the similarity."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.intervals import Bootstrap
from siamesekit.evaluation.operating_point import OperatingPoint
from siamesekit.evaluation.pairs import ScoredPairs, pairs_of
from siamesekit.evaluation.reliability import reliability
from siamesekit.evaluation.roc import roc_curve, roc_figures, thinned
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.randomness import generator

MOST_PAIRS = 50_000
"""Most pairs of these figures; of more, a random sample is drawn. Same and different pairs are weighted separately."""


def pair_figures(
    judged: EvaluationSet, embeddings: Tensor, distance: Distance, point: OperatingPoint | None, bootstrap: Bootstrap
) -> dict[str, Any]:
    """The entries `roc` and `reliability`; None where they cannot be measured.

    The pairs are those of the test photos whose individuals did not train, or of all test photos if all individuals
    trained.

    Args:
        judged: the photos that judge the network.
        embeddings: embeddings `[N, D]` of these photos.
        distance: distance of the network.
        point: its threshold and similarity, if it ships them.
        bootstrap: how intervals are computed.
    """
    nothing = {"roc": None, "reliability": None}
    chosen = np.flatnonzero(judged.unseen) if judged.unseen.any() else np.arange(judged.tested)
    tested = embeddings[torch.from_numpy(chosen).to(embeddings.device)]
    if len(chosen) < 2 or not bool(tested.isfinite().all()):
        return nothing
    labels = judged.labels[chosen]
    pairs = pairs_of(tested, labels, distance, generator(bootstrap.seed, "pair figures"), MOST_PAIRS)
    if not pairs.same.any() or pairs.same.all() or not np.isfinite(pairs.distance).all():
        return nothing
    return {
        "roc": {
            "individuals": len(np.unique(labels)),
            "trained": not judged.unseen.any(),
            **_roc(pairs, point, bootstrap),
        },
        "reliability": None if point is None else _reliability(pairs, bootstrap),
    }


def _roc(pairs: ScoredPairs, point: OperatingPoint | None, bootstrap: Bootstrap) -> dict[str, Any]:
    curve, figures = roc_curve(pairs), roc_figures(pairs, bootstrap)
    drawn, same = thinned(curve), pairs.same
    accepted = None if point is None else pairs.distance <= point.calibration.threshold
    return {
        "pairs": pairs.total,
        "same_pairs": int(same.sum()),
        "different_pairs": int((~same).sum()),
        "auc": figures.area._asdict(),
        "equal_error_rate": figures.equal_error_rate._asdict(),
        "at_threshold": None
        if accepted is None
        else {
            "false_accept_rate": float(accepted[~same].mean()),
            "true_accept_rate": float(accepted[same].mean()),
        },
        "curve": {
            "threshold": [None, *drawn.threshold[1:].tolist()],  # the first, −∞, accepts no pair
            "false_accept_rate": drawn.false_accept_rate.tolist(),
            "true_accept_rate": drawn.true_accept_rate.tolist(),
        },
    }


def _reliability(pairs: ScoredPairs, bootstrap: Bootstrap) -> dict[str, Any] | None:
    found = reliability(pairs, bootstrap)
    if found is None:
        return None
    bins = [{**asdict(each), "same_share": each.same_share._asdict()} for each in found.bins]
    return {
        "individuals": found.individuals,
        "expected_calibration_error": found.expected_calibration_error,
        "bins": bins,
    }
