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
from siamesekit.components.losses.traits import traits
from siamesekit.components.tuples import Triplets
from siamesekit.data.images import read_pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_reading import FOR_PICTURES
from siamesekit.data.records import Record
from siamesekit.engine.doctor import Finding, above_random_layers, diagnose
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.evaluation.protocol import ranked
from siamesekit.evaluation.ranking import triplet_distances
from siamesekit.experiment.assembly import Recipe
from siamesekit.experiment.dataset import Dataset
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.report_facts import facts_of
from siamesekit.experiment.report_points import with_shared_points
from siamesekit.experiment.report_search import confused_photos, embedding_map, hub_pictures
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
    judged: EvaluationSet,
    trained: Tensor,
    log: RunLog,
    evaluation: Mapping[str, Any],
    findings: Sequence[Finding] = (),
) -> ReportData:
    """The content of the report.

    Args:
        setup: setup of the run.
        recipe: distance and loss.
        judged: the test photos and the photos among which they are searched.
        trained: embeddings `[N, D]` of these photos by the network that the run keeps.
        log: lines of metrics.jsonl, and the epoch whose weights are kept.
        evaluation: content of evaluation.json.
        findings: findings of the doctor in addition to those from the curves.
    """
    config, data, distance = setup.config, setup.dataset, recipe.distance
    loss_traits = traits(recipe.loss)
    tested = trained[: judged.tested]
    same, different = pair_distances(judged, tested, distance, config.seed)
    ranks = bool(trained.isfinite().all())  # NaN distances cannot be ranked
    random = None
    if setup.prepared.stand_in is not None:
        random = above_random_layers(
            setup.prepared.weights["source"], config.encoder.train_from, len(log.lines), config.encoder.lora is not None
        )
    picture = cache(partial(_picture, data, judged))  # a photo may appear several times
    content = ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        stand_ins=setup.stand_ins,
        facts=facts_of(setup),
        epochs=tuple(log.lines),
        kept_epoch=log.kept_epoch,
        loss_by_class=loss_traits.by_class and bool(judged.unseen.any()),
        findings=(*([] if random is None else [random]), *diagnose(log.lines, loss_traits.margin), *findings),
        evaluation=evaluation,
        same=same,
        different=different,
        rankings=_rankings(picture, judged, trained, distance) if ranks else (),
        hardest=_hardest(picture, judged.triplets, tested, distance) if ranks and len(judged.triplets.anchor) else (),
        parts=data.individuals_by_part(),
        confused=confused_photos(picture, judged, evaluation),
        hubs=hub_pictures(picture, judged, evaluation),
        embedding_map=embedding_map(setup, judged, trained, distance),
    )
    return with_shared_points(content, setup, judged)


def pair_distances(
    judged: EvaluationSet, embeddings: Tensor, distance: Distance, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances of test pairs of the same and of different individuals, of embeddings `[tested, D]`."""
    pairs = pairs_of(
        embeddings, judged.labels[: judged.tested], distance, generator(seed, "histogram"), MAX_DRAWN_PAIRS
    )
    distances = pairs.distance.astype(np.float32)
    return distances[pairs.same], distances[~pairs.same]


def _picture(data: Dataset, judged: EvaluationSet, position: int) -> Picture:
    """The photo at a position in the evaluation set."""
    photo = int(judged.photos[position])
    record = data.records[photo]
    return Picture(record.name, record.individual, data.images[photo].permute(1, 2, 0).numpy(), _whole(record))


def _whole(record: Record) -> NDArray[np.uint8] | None:
    """A photo in the size of the report; None if its file is gone or has changed since it was read."""
    try:
        image = Image.fromarray(read_pixels(record, FOR_PICTURES))
    except UnreadableError:
        return None
    image.thumbnail((LARGEST, LARGEST))
    return np.asarray(image)


def _rankings(
    picture: Callable[[int], Picture], judged: EvaluationSet, embeddings: Tensor, distance: Distance
) -> tuple[Ranking, ...]:
    """The nearest neighbours of the first photos of some individuals, evenly chosen from all."""
    queries = np.flatnonzero(judged.answerable)
    _, first = np.unique(judged.labels[queries], return_index=True)
    first = queries[np.sort(first)]
    chosen = torch.from_numpy(first[np.linspace(0, len(first) - 1, min(RANKED, len(first))).round().astype(np.int64)])
    found = ranked(embeddings, judged.protocol, chosen, NEAREST, distance)
    return tuple(
        Ranking(
            picture(query),
            tuple((picture(index), value) for index, value, there in zip(*row, strict=True) if there),
        )
        for query, *row in zip(chosen.tolist(), *(part.tolist() for part in found), strict=True)
    )


def _hardest(
    picture: Callable[[int], Picture], triplets: Triplets, embeddings: Tensor, distance: Distance
) -> tuple[HardTriplet, ...]:
    """The triplets with the largest d_ap − d_an."""
    d_ap, d_an = triplet_distances(embeddings, triplets, distance)
    return tuple(
        HardTriplet(
            anchor=picture(int(triplets.anchor[t])),
            positive=picture(int(triplets.positive[t])),
            negative=picture(int(triplets.negative[t])),
            d_ap=d_ap[t].item(),
            d_an=d_an[t].item(),
        )
        for t in (d_ap - d_an).argsort(descending=True, stable=True)[:HARDEST].tolist()
    )
