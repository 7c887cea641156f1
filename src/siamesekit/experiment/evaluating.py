"""Evaluation of a finished model, or of two on the same queries, on the data of its run or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.ensemble import Ensemble
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.audit.gathering import Gathering
from siamesekit.config import Config
from siamesekit.config.loading import config_of, load_config
from siamesekit.config.reader_choice import reader_and_source
from siamesekit.data.loading import UnusablePhoto, report
from siamesekit.data.records import Record, Records
from siamesekit.data.splits import Split
from siamesekit.errors import ArtifactError, DataError, UserError
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.experiment.audited import copies_among, without_copies
from siamesekit.experiment.dataset import labelled, read_records
from siamesekit.experiment.evaluation_set import EvaluationSet, evaluation_set_of
from siamesekit.experiment.judgement import Network, judge, threshold
from siamesekit.experiment.left_out import told_of_bad, without_quarantine, without_unknown
from siamesekit.experiment.splitting import split_of_run
from siamesekit.files.run_files import CONFIG, SPLIT, run_of
from siamesekit.files.untrusted import MAX_TABLE_BYTES
from siamesekit.files.untrusted_json import read_json
from siamesekit.progress import Progress, progress_here
from siamesekit.randomness import generator
from siamesekit.report.content import StandIn

MODEL, AGAINST = "model", "against"
"""Names of the evaluated model and of the one that it is compared with."""


def evaluation_config(
    model: SimilarityModel, data: Path | None, reader: str | None = None, overrides: Sequence[str] = ()
) -> Config:
    """The config of an evaluation: the data, split and settings of the model's run, or other data.

    Args:
        model: the evaluated model.
        data: folder or table of photos; None: the data of the model's run.
        reader: reader of `data`; by default it follows from the kind of file.
        overrides: `table.key=value` strings for `[data]`, `[split]` and `[evaluation]`.

    Raises:
        UserError: there are neither data nor a run, or the kind of data is unknown.
        ConfigError: the config is invalid.
    """
    own = None if model.source is None else run_of(model.source) / CONFIG
    if data is None:
        if own is None or not own.is_file():
            raise UserError("there is no run whose data could be used: name a folder or table of photos with --data")
        return load_config(own, ["plugins=[]", *overrides])  # their code runs only if --plugin names them
    tables: dict[str, dict[str, Any]] = {
        "data": {
            **reader_and_source(data, reader),
            "size": model.size,
            "fit": model.fit,
            "singletons": "keep",
        },
        "encoder": _encoder(model),
    }
    if not any(override.startswith("split.") for override in overrides):
        tables["split"] = {"by": "column", "unmatched": "new"}
    return config_of(tables, overrides, "evaluation")


def _encoder(model: SimilarityModel) -> dict[str, Any]:
    """The table of the model's encoder; weights are not read from it."""
    encoder = model.description["encoder"]
    return {"name": encoder["name"], "weights": "random", **encoder.get("options", {})}


class EvaluationPhotos(NamedTuple):
    """The photos of an evaluation.

    Attributes:
        read: what the reader gave.
        records: the photos in a part of the split.
        split: their parts.
        notes: notes on the photos that were left out.
        stand_in: the stand-in for missing data, if one is in use.
    """

    read: Records
    records: list[Record]
    split: Split
    notes: list[str]
    stand_in: StandIn | None


def evaluation_photos(config: Config, everything: bool, progress: Progress, skip_bad: bool) -> EvaluationPhotos:
    """Read and split the photos of an evaluation, as `evaluate_models` describes.

    Raises:
        DataError: the photos cannot be used as asked.
    """
    read, _, stand_in = read_records(config, skip_bad)
    if stand_in is not None:
        progress.warn(stand_in.warning)
    kept, _, kept_out = without_quarantine(read, config)
    records, _, told = without_unknown(kept)
    notes = [*read.notes, *kept_out, *told]
    by_column = any(record.attributes.get(config.split.column) for record in records)
    if everything and not by_column:
        split = Split((), (), tuple(range(len(records))))
    else:
        made = split_of_run(list(records), config)
        records, split, notes = made.records, made.split, [*notes, *made.notes]
    for note in notes:
        progress.say(note)
    for finding in read.left_out:
        progress.warn(f"left out: {finding}")
    return EvaluationPhotos(read, records, split, notes, stand_in)


def evaluate_models(
    config: Config,
    model: SimilarityModel | Ensemble,
    against: SimilarityModel | Ensemble | None = None,
    everything: bool = False,
    progress: Progress | None = None,
    skip_bad: bool = False,
    tta: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Evaluate a model, or two models on the same queries.

    Args:
        config: the data, the split and the settings of the evaluation.
        model: the evaluated model.
        against: a second model; its figures and the paired differences are added.
        everything: whether all photos test, if no photo has a value in the split's column; each is searched among the
            others.
        progress: shows messages and progress.
        skip_bad: whether to leave out photos that cannot be used.
        tta: views of each photo; by default those with which each model was evaluated.

    Returns:
        Content like that of evaluation.json: figures of the networks `model` and `against`; `difference` has the main
        figures of `model` minus those of `against`, with intervals over the individuals; `without_copies` has them as
        if each photo were there once.

    Raises:
        DataError: the photos cannot be used as asked.
    """
    progress = progress or progress_here()
    found = evaluation_photos(config, everything, progress, skip_bad)
    read, records, split, left_out = found.read, found.records, found.split, found.notes
    judged = judged_photos(config, records, split)
    models = {MODEL: model} if against is None else {MODEL: model, AGAINST: against}
    bad: dict[int, UnusablePhoto] = {}
    chosen = [records[photo] for photo in judged.photos.tolist()]
    passed_over = bad if skip_bad else None
    networks = {}
    with _gathering(model) as gathering:
        for name, each in models.items():
            look = gathering if name == MODEL else None
            networks[name] = Network(each.embed_records(chosen, progress, passed_over, tta, look), each.distance)
        copies = copies_among(records, split, gathering, progress)
    if bad:
        findings = [bad[number] for number in sorted(bad)]
        message, details = report(findings, len(chosen))
        if len(bad) == len(chosen):
            raise DataError(message, details)
        progress.warn(f"{message} and are left out:", details)
        left_out = [*left_out, told_of_bad(findings, len(chosen))]
        lost = {int(judged.photos[number]) for number in bad}
        judged = judged_photos(config, records, without_photos(split, lost))
    test = judged.labels[: judged.tested]
    names, _ = labelled(records)
    notes = [
        note
        for name, each in models.items()
        for part in (each.models if isinstance(each, Ensemble) else (each,))
        if part.source is not None
        for note in _trained_on(part.source, {names[label] for label in test}, name)
    ]
    point, said = threshold(config, judged, *networks[MODEL])
    figures = judge(config, judged, networks, point, [*notes, *said], MODEL, None if against is None else AGAINST)
    figures["without_copies"] = without_copies(config, (records, split), judged, networks, copies)
    figures["left_out"] = list(left_out)
    figures["skipped"] = [finding._asdict() for finding in (*read.left_out, *(bad[number] for number in sorted(bad)))]
    figures["shipped_threshold"] = error_rates(model, networks[MODEL].embeddings[: judged.tested], test, config)
    figures["stand_ins"] = [] if found.stand_in is None else [vars(found.stand_in)]
    return figures


def _gathering(model: SimilarityModel | Ensemble) -> Gathering:
    """Gathers facts of photos while a model, or the first of an ensemble, decodes them."""
    first = model.models[0] if isinstance(model, Ensemble) else model
    gathering = Gathering(first.size)
    gathering.reading = first.reading
    return gathering


def judged_photos(config: Config, records: Sequence[Record], split: Split) -> EvaluationSet:
    """The photos that judge models; test photos alone are searched among each other."""
    _, labels = labelled(records)
    if not split.train and not split.gallery:
        config = replace(config, evaluation=config.evaluation.model_copy(update={"gallery": "test"}))
    return evaluation_set_of(config, records, labels, split)


def without_photos(split: Split, lost: set[int]) -> Split:
    """A split without some photos, as indices of records."""
    parts = (split.train, split.validation, split.test, split.gallery)
    return Split(*(tuple(photo for photo in part if photo not in lost) for part in parts))


def _trained_on(source: Path, tested: set[str], name: str) -> list[str]:
    """A note on test individuals whose names are among those that trained a model."""
    file = run_of(source) / SPLIT
    if not file.is_file():
        return []
    try:
        trained = tested & set(read_json(file, most=MAX_TABLE_BYTES)["parts"].get("train", {}))
    except (ArtifactError, KeyError, TypeError, AttributeError):
        return [f"{file} cannot be read, so it is unknown which of the test individuals trained the {name}."]
    if not trained:
        return []
    which = "the model" if name == MODEL else "the model that it is compared with"
    return [
        f"{len(trained)} of the {len(tested)} test individuals have names of individuals that trained {which}: if they "
        "are the same animals, its figures are of known individuals."
    ]


def error_rates(
    model: SimilarityModel | Ensemble, embeddings: Tensor, labels: NDArray[np.int64], config: Config
) -> dict[str, Any] | None:
    """Error rates of the model's own threshold on pairs of test photos; None without a threshold.

    Args:
        model: the model, with threshold and distance.
        embeddings: embeddings `[N, D]` of the test photos, by this model or by an export of it.
        labels: their labels, int64 `[N]`.
        config: the seed by which pairs are drawn.
    """
    if model.threshold is None or len(labels) < 2:
        return None
    pairs = pairs_of(embeddings, labels, model.distance, generator(config.seed, "calibration pairs"))
    accepted = pairs.distance <= model.threshold
    same, different = int(pairs.same.sum()), int((~pairs.same).sum())
    return {
        "threshold": model.threshold,
        "same_pairs": same,
        "different_pairs": different,
        "false_accept_rate": float(accepted[~pairs.same].mean()) if different else None,
        "false_reject_rate": float((~accepted[pairs.same]).mean()) if same else None,
    }
