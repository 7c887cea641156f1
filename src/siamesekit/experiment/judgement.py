"""The judgement of the trained network: its threshold, and the content of evaluation.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.config import Config
from siamesekit.engine.test_set import TestSet
from siamesekit.evaluation.figures import evaluate
from siamesekit.evaluation.operating_point import OperatingPoint, operating_point
from siamesekit.evaluation.worth import worth_of_training


def threshold(
    config: Config, test: TestSet, trained: Tensor, distance: Distance
) -> tuple[OperatingPoint | None, list[str]]:
    """The threshold of a trained network, and notes on its worth or on why there is no threshold.

    Args:
        config: config of the run.
        test: the test set.
        trained: embeddings `[N, D]` of the test photos.
        distance: distance of the run.
    """
    settings = config.evaluation
    if not bool(trained.isfinite().all()):
        return None, ["No threshold: NaN or infinite embeddings have no distances."]
    if config.split.by != "identity":
        return None, [
            'No threshold: with split.by = "photo" every individual trained the network, and a threshold is '
            "only valid for individuals that did not."
        ]
    return operating_point(
        trained, test.labels, distance, settings.false_accept_rate, settings.confidence, settings.bootstrap, config.seed
    )


def judge(
    config: Config,
    test: TestSet,
    networks: Mapping[str, Tensor],
    distance: Distance,
    point: OperatingPoint | None,
    notes: Sequence[str],
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of evaluation.json.

    Args:
        config: config of the run.
        test: the test set.
        networks: embeddings `[N, D]` of the test photos, by name of the network.
        distance: distance of the run.
        point: threshold of the trained network.
        notes: notes on the figures.
        left_out: photos that neither trained nor tested, in words.
    """
    settings = config.evaluation
    figures = {
        name: evaluate(
            embeddings, test.labels, test.triplets, distance, settings.confidence, settings.bootstrap, config.seed
        )
        for name, embeddings in networks.items()
    }
    written = {
        name: {metric: interval._asdict() for metric, interval in of._asdict().items()} for name, of in figures.items()
    }
    return {
        "individuals": len(np.unique(test.labels)),
        "photos": len(test.labels),
        "triplets": len(test.triplets.anchor),
        "confidence": settings.confidence,
        "bootstrap": settings.bootstrap,
        "split": config.split.by,
        "networks": written,
        "training": worth_of_training(written).as_json(),
        "threshold": None if point is None else point.as_json(),
        "notes": list(notes),
        "left_out": list(left_out),
    }
