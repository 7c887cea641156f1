"""The content of a run's report: curves, figures, distances, rankings and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siamesekit._version import __version__
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import nearest
from siamesekit.components.losses.traits import traits
from siamesekit.data.images import read_pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.records import Record
from siamesekit.engine.doctor import Finding, above_random_layers, diagnose
from siamesekit.engine.test_set import TestSet
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.evaluation.ranking import triplet_distances
from siamesekit.experiment.assembly import Recipe
from siamesekit.experiment.dataset import Dataset
from siamesekit.experiment.report_facts import facts_of
from siamesekit.experiment.run_log import RunLog
from siamesekit.experiment.setup import Setup
from siamesekit.randomness import generator
from siamesekit.report.content import LARGEST, HardTriplet, Picture, Ranking, ReportData

HARDEST = 10
RANKED, NEAREST = 6, 5
"""Individuals with a ranking in the report, and neighbours in each ranking."""
MAX_DRAWN_PAIRS = 200_000
"""Most pairs in a histogram; of more, a random sample is drawn. Positive and negative pairs are scaled separately."""


def report_content(
    setup: Setup,
    recipe: Recipe,
    test: TestSet,
    trained: Tensor,
    log: RunLog,
    evaluation: Mapping[str, Any],
    findings: Sequence[Finding] = (),
) -> ReportData:
    """The content of the report.

    Args:
        setup: setup of the run.
        recipe: distance and loss.
        test: the test photos.
        trained: embeddings `[N, D]` of the test photos by the network that the run keeps.
        log: lines of metrics.jsonl, and the epoch whose weights are kept.
        evaluation: content of evaluation.json.
        findings: findings of the doctor in addition to those from the curves.
    """
    config, data, distance = setup.config, setup.dataset, recipe.distance
    loss_traits = traits(recipe.loss)
    same, different = _pair_distances(test, trained, distance, config.seed)
    ranks = bool(trained.isfinite().all())  # NaN distances cannot be ranked
    random = None
    if setup.prepared.stand_in is not None:
        random = above_random_layers(setup.prepared.weights["source"], config.encoder.train_from, len(log.lines))
    picture = cache(partial(_picture, data, test))  # a photo may appear several times
    return ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        stand_ins=setup.stand_ins,
        facts=facts_of(setup),
        epochs=tuple(log.lines),
        kept_epoch=log.kept_epoch,
        loss_by_class=loss_traits.by_class and test.classes is None,
        findings=(*([] if random is None else [random]), *diagnose(log.lines, loss_traits.margin), *findings),
        evaluation=evaluation,
        same=same,
        different=different,
        rankings=_rankings(picture, test, trained, distance) if ranks else (),
        hardest=_hardest(picture, test, trained, distance) if ranks else (),
        parts=data.individuals_by_part(),
    )


def _pair_distances(
    test: TestSet, embeddings: Tensor, distance: Distance, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pairs = pairs_of(embeddings, test.labels, distance, generator(seed, "histogram"), MAX_DRAWN_PAIRS)
    distances = pairs.distance.astype(np.float32)
    return distances[pairs.same], distances[~pairs.same]


def _picture(data: Dataset, test: TestSet, position: int) -> Picture:
    """The test photo at a position in the test set."""
    photo = int(test.photos[position])
    record = data.records[photo]
    return Picture(record.name, record.individual, data.images[photo].permute(1, 2, 0).numpy(), _whole(record))


def _whole(record: Record) -> NDArray[np.uint8] | None:
    """A photo in the size of the report; None if its file is gone or has changed since it was read."""
    try:
        image = Image.fromarray(read_pixels(record))
    except UnreadableError:
        return None
    image.thumbnail((LARGEST, LARGEST))
    return np.asarray(image)


def _rankings(
    picture: Callable[[int], Picture], test: TestSet, embeddings: Tensor, distance: Distance
) -> tuple[Ranking, ...]:
    """The nearest neighbours of the first photos of some individuals, evenly chosen from all."""
    _, first = np.unique(test.labels, return_index=True)
    first = np.sort(first)
    chosen = torch.from_numpy(first[np.linspace(0, len(first) - 1, min(RANKED, len(first))).round().astype(np.int64)])
    found = nearest(embeddings[chosen], embeddings, NEAREST, distance, own=chosen)
    return tuple(
        Ranking(
            picture(query),
            tuple((picture(index), value) for index, value in zip(indices, values, strict=True)),
        )
        for query, indices, values in zip(chosen.tolist(), found.index.tolist(), found.distance.tolist(), strict=True)
    )


def _hardest(
    picture: Callable[[int], Picture], test: TestSet, embeddings: Tensor, distance: Distance
) -> tuple[HardTriplet, ...]:
    """The triplets with the largest d_ap − d_an."""
    d_ap, d_an = triplet_distances(embeddings, test.triplets, distance)
    return tuple(
        HardTriplet(
            anchor=picture(int(test.triplets.anchor[t])),
            positive=picture(int(test.triplets.positive[t])),
            negative=picture(int(test.triplets.negative[t])),
            d_ap=d_ap[t].item(),
            d_an=d_an[t].item(),
        )
        for t in (d_ap - d_an).argsort(descending=True, stable=True)[:HARDEST].tolist()
    )
