"""The test photos of a finished run and their embeddings, for figures that the files of a run do not have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from siamesekit.artifact.loading import load
from siamesekit.components.distances.distance import Distance
from siamesekit.config import Config
from siamesekit.experiment.dataset import labelled, read_records
from siamesekit.experiment.evaluating import evaluation_config
from siamesekit.experiment.evaluation_set import EvaluationSet, evaluation_set_of
from siamesekit.experiment.left_out import without_quarantine, without_unknown
from siamesekit.experiment.splitting import split_of_run
from siamesekit.progress import progress_here


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
    read, _, _ = read_records(config)
    kept, _, _ = without_quarantine(read, config)
    known, _, _ = without_unknown(kept)
    made = split_of_run(list(known), config)
    judged = evaluation_set_of(config, made.records, labelled(made.records)[1], made.split)
    chosen = [made.records[photo] for photo in judged.photos[: judged.tested].tolist()]
    return TestedPhotos(config, judged, model.embed_records(chosen, progress_here()), model.distance)
