"""Give a model a threshold, measured on labelled photos that did not train it, without training it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from siamesekit.artifact.named_model import save_copy
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.config import Config
from siamesekit.errors import UserError
from siamesekit.experiment.evaluating import evaluate_models
from siamesekit.files.replaceable import refuse_full_folder
from siamesekit.files.run_files import MODEL as FOLDER
from siamesekit.progress import Progress


def calibrate(
    model: SimilarityModel,
    config: Config,
    output: Path,
    progress: Progress,
    skip_bad: bool = False,
) -> dict[str, Any]:
    """Measure a model on all photos of a data set, and save it with the threshold and similarity that follow.

    Args:
        model: the model; its weights are copied as they are.
        config: the photos, and the settings of the evaluation.
        output: folder of the new model; it is created, or empty.
        progress: shows messages and progress.
        skip_bad: whether to leave out photos that cannot be used.

    Returns:
        The content of the evaluation, as `evaluate_models` gives it.

    Raises:
        DataError: the photos cannot be used as asked.
        OutputError: the folder holds something, or cannot be written.
        UserError: the photos give no threshold.
    """
    refuse_full_folder(output)
    found = evaluate_models(config, model, None, everything=True, progress=progress, skip_bad=skip_bad)
    if found["threshold"] is None:
        raise UserError(next((note for note in found["notes"] if note.startswith("No threshold")), "No threshold."))
    save_copy(model, output / FOLDER, found["threshold"])
    return found
