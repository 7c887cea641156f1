"""The test photos of a finished run and their embeddings, for figures that the files of a run do not have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from siamesekit.artifact.loading import load
from siamesekit.components.distances.distance import Distance
from siamesekit.config import Config
from siamesekit.experiment.evaluating import evaluation_config, evaluation_photos, judged_photos
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.progress import Progress, progress_here


@dataclass(frozen=True)
class TestedPhotos:
    """The test photos of a run, embedded by its model.

    Attributes:
        config: config of the run.
        judged: the evaluation set; its test photos come first.
        embeddings: embeddings of the test photos, `[tested, D]`.
        distance: distance of the model.
    """

    __test__ = False  # no test class

    config: Config
    judged: EvaluationSet
    embeddings: Tensor
    distance: Distance


def tested_photos(folder: Path) -> TestedPhotos:
    """Read the test photos of the run in a folder, and embed them.

    Raises:
        UserError: the run or its photos cannot be read.
    """
    model = load(folder)
    config = evaluation_config(model, None)
    found = evaluation_photos(config, everything=False, progress=Progress(), skip_bad=False)
    judged = judged_photos(config, found.records, found.split)
    chosen = [found.records[photo] for photo in judged.photos[: judged.tested].tolist()]
    return TestedPhotos(config, judged, model.embed_records(chosen, progress_here()), model.distance)
