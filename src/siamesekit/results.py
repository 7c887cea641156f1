"""What a run leaves behind: evaluation, manifest, report and pickle, made from what the run has in hand."""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siamesekit import __version__
from siamesekit.baselines import worth_of_training
from siamesekit.calibration import pairs_of
from siamesekit.config import Config
from siamesekit.data.images import UnreadableError, read_pixels
from siamesekit.data.records import Record
from siamesekit.distances.distance import Distance
from siamesekit.doctor import above_random_layers, diagnose, margin_of
from siamesekit.engine.held_out import HeldOut
from siamesekit.engine.precision import Precision
from siamesekit.engine.ranking import triplet_distances
from siamesekit.errors import line_of_name
from siamesekit.evaluation import OperatingPoint, evaluate, operating_point
from siamesekit.files import write_atomic
from siamesekit.losses.loss import Loss
from siamesekit.model import SiameseNetwork
from siamesekit.preparation import Built, Data
from siamesekit.randomness import generator
from siamesekit.report.data import LARGEST, HardTriplet, Picture, Ranking, ReportData, StandIn
from siamesekit.report_facts import facts_of
from siamesekit.retrieval import nearest

HARDEST = 10
RANKED, NEAREST = 6, 5
"""Of so many individuals the report shows a photo with so many that are nearest to it."""
MAX_DRAWN_PAIRS = 200_000
"""Beyond so many pairs a histogram is drawn of a random sample; each kind is scaled by itself."""


def threshold(
    config: Config, test: HeldOut, trained: Tensor, distance: Distance
) -> tuple[OperatingPoint | None, list[str]]:
    """The threshold of a trained network, and notes on its worth or on why there is none.

    Args:
        config: the run's.
        test: on what it is judged.
        trained: embeddings `[N, D]` of the test photos.
        distance: the run's.
    """
    settings = config.evaluation
    if not bool(trained.isfinite().all()):
        return None, ["No threshold: embeddings that are not numbers have no distances."]
    if config.split.by != "identity":
        return None, ['No threshold: with split.by = "photo" every individual trained the network, and a threshold is '
                      "only worth something for individuals that did not."]  # fmt: skip
    return operating_point(trained, test.labels, distance, settings.false_accept_rate, settings.confidence,
                           settings.bootstrap, config.seed)  # fmt: skip


def judge(
    config: Config,
    test: HeldOut,
    networks: Mapping[str, Tensor],
    distance: Distance,
    point: OperatingPoint | None,
    notes: Sequence[str],
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of evaluation.json.

    Args:
        config: the run's.
        test: on what.
        networks: embeddings `[N, D]` of the test photos, by the network's name.
        distance: the run's.
        point: the trained network's threshold.
        notes: what is to be said beside the figures.
        left_out: which photos are not among those that trained and tested, in words.
    """
    settings = config.evaluation
    figures = {
        name: evaluate(embeddings, test.labels, test.triplets, distance, settings.confidence, settings.bootstrap,
                       config.seed)
        for name, embeddings in networks.items()
    }  # fmt: skip
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


def manifest(config: Config, data: Data, built: Built, precision: Precision, cached: bool) -> dict[str, Any]:
    """The content of manifest.json, of a run that begins; `cached` says whether the frozen part's output is stored."""
    return {
        "name": config.name,
        "complete": False,
        "written": _now(),
        "seed": config.seed,
        "stand_ins": [vars(stand_in) for stand_in in stand_ins(data, built)],
        "data": {
            "reader": data.reader,
            "individuals": len(data.individuals),
            "photos": len(data.records),
            "split": {name: len(part) for name, part in data.split.parts().items()},
            "left_out": [
                {"photo": line_of_name(finding.name), "reason": finding.reason}
                for finding in (*data.left_out, *data.singletons)
            ],
            "passed_over": {line_of_name(suffix): count for suffix, count in data.passed_over.items()},
            "sha256": data.fingerprint(),
        },
        "weights": dict(built.weights),
        "frozen_part_cached": cached,
        "plugins": {plugin.path.name: plugin.sha256 for plugin in config.plugins},
        "device": {
            "type": precision.device.type,
            "name": torch.cuda.get_device_name() if precision.device.type == "cuda" else platform.machine(),
            "precision": precision.name,
            "threads": torch.get_num_threads(),
        },
        "versions": {
            "siamesekit": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")},
        },
        "kept_epoch": None,
        "seconds": {},
    }


def completed(begun: Mapping[str, Any], kept_epoch: int, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The manifest of a run that is done, from the one that it began with; photos are not hashed once more.

    Args:
        begun: that one.
        kept_epoch: whose weights are in the model.
        seconds: by stage. Those of a run that was resumed are of all its sessions, up to each one's last checkpoint;
            the evaluation's are the last one's.
    """
    timings = dict(seconds) | {"total": sum(seconds.values())}
    return {**begun, "complete": True, "written": _now(), "kept_epoch": kept_epoch, "seconds": timings}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def stand_ins(data: Data, built: Built) -> tuple[StandIn, ...]:
    """All stand-ins in use."""
    return tuple(stand_in for stand_in in (data.stand_in, built.stand_in) if stand_in is not None)


def save_pickle(path: Path, built: Built, distance: Distance) -> None:
    """Write a pickle of the `SiameseNetwork`, on the CPU and in inference mode; this library never reads one."""
    device = next(built.encoder.parameters()).device
    network = SiameseNetwork(built.encoder.cpu(), distance).eval()
    write_atomic(path, pickle.dumps(network))
    built.encoder.to(device)


def report_data(
    config: Config,
    data: Data,
    built: Built,
    precision: Precision,
    test: HeldOut,
    trained: Tensor,
    distance: Distance,
    loss: Loss,
    epochs: Sequence[Mapping[str, Any]],
    kept_epoch: int,
    evaluation: Mapping[str, Any],
) -> ReportData:
    """What the report shows; `trained` are the test photos' embeddings `[N, D]`."""
    by_class = bool(getattr(loss, "by_class", False)) and test.classes is None
    same, different = _pair_distances(test, trained, distance, config.seed)
    ranks = bool(trained.isfinite().all())  # what is not a number is nearer to nothing
    random = None
    if built.stand_in is not None:
        random = above_random_layers(built.weights["source"], config.encoder.train_from, len(epochs))
    picture = cache(partial(_picture, data, test))  # a photo may stand in several places
    return ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        stand_ins=stand_ins(data, built),
        facts=facts_of(config, data, built, precision),
        epochs=tuple(epochs),
        kept_epoch=kept_epoch,
        loss_by_class=by_class,
        findings=(*([] if random is None else [random]), *diagnose(epochs, margin_of(loss))),
        evaluation=evaluation,
        same=same,
        different=different,
        rankings=_rankings(picture, test, trained, distance) if ranks else (),
        hardest=_hardest(picture, test, trained, distance) if ranks else (),
        parts=data.individuals_by_part(),
    )


def _pair_distances(
    test: HeldOut, embeddings: Tensor, distance: Distance, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pairs = pairs_of(embeddings, test.labels, distance, generator(seed, "histogram"), MAX_DRAWN_PAIRS)
    distances = pairs.distance.astype(np.float32)
    return distances[pairs.same], distances[~pairs.same]


def _picture(data: Data, test: HeldOut, position: int) -> Picture:
    """The test photo at a position among them."""
    photo = int(test.photos[position])
    record = data.records[photo]
    return Picture(record.name, record.individual, data.images[photo].permute(1, 2, 0).numpy(), _whole(record))


def _whole(record: Record) -> NDArray[np.uint8] | None:
    """A photo as it is, no larger than the report shows it; None where it has gone or changed since it was read."""
    try:
        image = Image.fromarray(read_pixels(record))
    except UnreadableError:
        return None
    image.thumbnail((LARGEST, LARGEST))
    return np.asarray(image)


def _rankings(
    picture: Callable[[int], Picture], test: HeldOut, embeddings: Tensor, distance: Distance
) -> tuple[Ranking, ...]:
    """What is nearest to the first photo of some individuals, evenly from all of them."""
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
    picture: Callable[[int], Picture], test: HeldOut, embeddings: Tensor, distance: Distance
) -> tuple[HardTriplet, ...]:
    """The triplets whose negative is nearest compared with the positive."""
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
