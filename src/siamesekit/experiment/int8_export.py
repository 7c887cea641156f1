"""Export a run's model in int8, with the cost: its figures on the run's test photos, beside those in float32."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.embedding_files import records_of_inputs
from siamesekit.artifact.export_check import Network
from siamesekit.artifact.onnx_export import Exported, described, description_of, onnx_content, onnx_network
from siamesekit.artifact.onnx_int8 import WeightBits, int8_graph
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.config import Config
from siamesekit.data.loading import Decoding, UnusablePhoto, read_chunks
from siamesekit.data.records import Record
from siamesekit.data.splits import Split
from siamesekit.errors import UserError
from siamesekit.evaluation.figures import evaluate
from siamesekit.experiment.evaluating import (
    error_rates,
    evaluation_config,
    evaluation_photos,
    judged_photos,
    without_photos,
)
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.judgement import bootstrap_of
from siamesekit.files.atomic import write_atomic
from siamesekit.progress import Progress, progress_here
from siamesekit.randomness import generator
from siamesekit.wording import with_interval

MOST_PHOTOS = 128
"""Most photos by which the ranges of activations are measured; which, is drawn from the run's seed."""
CHUNK = 16
"""Photos of a batch, as `siamesekit.runtime` embeds them."""
FLOAT, INT8 = "fp32", "int8"
FIGURES = {"precision_at_1": "P@1", "mean_average_precision": "mAP", "map_at_r": "MAP@R"}
"""The figures of both networks; a gallery that is too large to be sorted for each query has no mAP."""


ADVICE = (
    ". Nothing is written. --accept writes it nevertheless; --calibration FOLDER takes other photos to measure the "
    "ranges of the activations"
)


@dataclass(frozen=True)
class Int8Export(Exported):
    """What was written in int8.

    Attributes:
        int8: its cost, as in the file's metadata.
    """

    int8: dict[str, Any]


def export_int8(
    model: SimilarityModel,
    file: Path,
    photos: Path | None = None,
    weight_bits: WeightBits = 8,
    accept: bool = False,
    progress: Progress | None = None,
) -> Int8Export:
    """Write a run's model as one ONNX file in int8, with its cost in the metadata.

    The network in float32 is compared with the model first, as `export_onnx` does. Then both networks embed the run's
    test photos. If a figure of the network in int8 is below the interval of the same figure in float32, nothing is
    written.

    Args:
        model: a model that `siamesekit.load` gave, on the CPU in fp32.
        file: the file to write.
        photos: folder of photos by which the ranges of activations are measured; by default photos of the run's
            training part.
        weight_bits: bits of the weights; 7 are faster on processors without VNNI, and coarser.
        accept: whether to write the file whatever its figures are.
        progress: progress display.

    Raises:
        OutputError: the file cannot be written.
        DataError: the photos of the run, or `photos`, cannot be used.
        UserError: the network cannot be exported, or its figures in int8 are worse.
    """
    progress = progress or progress_here()
    config = _config(model)
    data = evaluation_photos(config, False, progress, skip_bad=True)
    training = [data.records[photo] for photo in data.split.train]
    calibration = _drawn(training if photos is None else records_of_inputs([photos]), config.seed)
    content, difference = onnx_content(model)
    graph = int8_graph(content, _pixels(calibration, model, progress), weight_bits)
    networks = {FLOAT: onnx_network(content), INT8: onnx_network(graph)}
    cost: dict[str, Any] = {
        "weight_bits": weight_bits,
        "calibration_photos": len(calibration),
        **_measured(config, (data.records, data.split), model, networks, progress),
    }
    for name, size in ((FLOAT, len(content)), (INT8, len(graph))):
        cost[name]["bytes"] = size
    if cost["worse"] and not accept:
        raise UserError("; ".join(_complaint(cost, figure) for figure in cost["worse"]) + ADVICE)
    for figure in cost["worse"]:
        progress.warn(_complaint(cost, figure))
    written = described(graph, {**description_of(model), "int8": cost})
    write_atomic(file, written)
    made = Exported(file, len(written), model.size, model.encoder.head.embedding_dim, difference)
    return Int8Export(**asdict(made), int8=cost)


def _complaint(cost: Mapping[str, Any], figure: str) -> str:
    ours, theirs = cost[INT8][figure], cost[FLOAT][figure]
    return (
        f"int8 is worse: {FIGURES[figure]} of the test photos is {ours['value']:.3f}, and in float32 it is "
        f"{with_interval(theirs)}"
    )


def _config(model: SimilarityModel) -> Config:
    """The config of the model's run.

    Raises:
        UserError: the model is not in the folder of a run.
    """
    try:
        return evaluation_config(model, None)
    except UserError as error:
        raise UserError(
            "--int8 needs the run's config and its photos, by which the model in int8 is judged: name the folder of a "
            f"finished run ({error})"
        ) from error


def _drawn(records: Sequence[Record], seed: int) -> list[Record]:
    """At most `MOST_PHOTOS` of the records, drawn at random."""
    chosen = generator(seed, "int8 calibration").permutation(len(records))[:MOST_PHOTOS]
    return [records[number] for number in sorted(chosen)]


def _pixels(
    records: Sequence[Record],
    model: SimilarityModel,
    progress: Progress,
    passed_over: dict[int, UnusablePhoto] | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """The photos in order, uint8 `[n, 3, S, S]`, without those that cannot be read."""
    passed_over = {} if passed_over is None else passed_over
    reading = read_chunks(records, model.size, model.fit, CHUNK, progress, passed_over, Decoding(model.reading))
    with closing(reading):
        for chunk in reading:
            yield np.ascontiguousarray(chunk.numpy())
    for finding in passed_over.values():
        progress.warn(f"left out: {finding}")
    if len(passed_over) == len(records):
        raise UserError("--int8 needs photos, and there is none that can be read")


def _measured(
    config: Config,
    photos: tuple[list[Record], Split],
    model: SimilarityModel,
    networks: Mapping[str, Network],
    progress: Progress,
) -> dict[str, Any]:
    """The figures of both networks on the test photos of a run, and the cosine of their embeddings."""
    records, split = photos
    judged = judged_photos(config, records, split)
    bad: dict[int, UnusablePhoto] = {}
    chunks = _pixels([records[photo] for photo in judged.photos.tolist()], model, progress, bad)
    embeddings, speed = _embedded(networks, chunks)
    if bad:
        judged = judged_photos(config, records, without_photos(split, {int(judged.photos[number]) for number in bad}))
    of = {name: _figures(config, judged, model, rows, speed[name]) for name, rows in embeddings.items()}
    cosine = torch.cosine_similarity(embeddings[FLOAT].double(), embeddings[INT8].double(), dim=1)
    return {
        "test_photos": judged.tested,
        "individuals": len(np.unique(judged.labels[: judged.tested])),
        "cosine": {"mean": float(cosine.mean()), "worst": float(cosine.min())},
        **of,
        "worse": [
            figure
            for figure in FIGURES
            if figure in of[INT8] and of[INT8][figure]["value"] < _lower_bound(of[FLOAT][figure])
        ],
    }


def _lower_bound(interval: Mapping[str, float | None]) -> float:
    """The lower bound of an interval; the value itself where a single individual gives no interval."""
    low = interval["value"] if interval["low"] is None else interval["low"]
    assert low is not None
    return low


def _embedded(
    networks: Mapping[str, Network], chunks: Iterator[NDArray[np.uint8]]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Embeddings `[N, D]` by each network, and its images per second: the median over the chunks after the first."""
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in networks}
    rates: dict[str, list[float]] = {name: [] for name in networks}
    for pixels in chunks:
        for name, network in networks.items():
            started = time.perf_counter()
            rows[name].append(network(pixels))
            rates[name].append(len(pixels) / (time.perf_counter() - started))
    embeddings = {name: torch.from_numpy(np.concatenate(each)) for name, each in rows.items()}
    return embeddings, {name: median(each[1:] or each) for name, each in rates.items()}


def _figures(
    config: Config, judged: EvaluationSet, model: SimilarityModel, embeddings: Tensor, speed: float
) -> dict[str, Any]:
    """The figures of one network's embeddings `[N, D]`."""
    found = evaluate(
        embeddings, judged.labels, judged.triplets, model.distance, bootstrap_of(config), judged.protocol
    ).figures.as_json()
    labels = judged.labels[: judged.tested]
    return {
        **{figure: found[figure] for figure in FIGURES if figure in found},
        "threshold": error_rates(model, embeddings[: judged.tested], labels, config),
        "images_per_second": round(speed, 1),
    }
