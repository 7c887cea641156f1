"""What a run leaves behind: evaluation, manifest, report and pickle, made from what the run has in hand."""

from __future__ import annotations

import math
import pickle
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from siamesekit import __version__
from siamesekit.calibration import pairs_of
from siamesekit.config import ComponentTable, Config
from siamesekit.distances.distance import Distance
from siamesekit.doctor import diagnose, margin_of
from siamesekit.engine.precision import Precision
from siamesekit.engine.training import triplet_distances
from siamesekit.errors import line_of_name
from siamesekit.evaluation import OperatingPoint, evaluate, operating_point
from siamesekit.files import write_atomic
from siamesekit.losses.loss import Loss
from siamesekit.model import SiameseNetwork
from siamesekit.preparation import Built, Data
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.report.data import HardTriplet, Picture, ReportData, StandIn
from siamesekit.triplets import Triplets, all_pairs_triplets

PHOTOS_IN_TRIPLETS = 10
"""Test triplets are all pairs of each test individual's first so many photos."""
HARDEST = 10
MAX_DRAWN_PAIRS = 200_000
"""Beyond so many pairs a histogram is drawn of a random sample; each kind is scaled by itself."""


@dataclass(frozen=True)
class HeldOut:
    """The test photos and the triplets on which the network is judged.

    Attributes:
        photos: int64 `[N]`, indices into the data set.
        labels: int64 `[N]`, their individuals.
        triplets: all pairs of each individual's first photos, each with one random negative; indices into the N.
        classes: int64 `[N]`, their individuals' numbers 0 … C − 1 among the training individuals; None where some of
            them did not train.
    """

    photos: Tensor
    labels: NDArray[np.int64]
    triplets: Triplets
    classes: NDArray[np.int64] | None

    @classmethod
    def of(cls, data: Data, seed: int) -> HeldOut:
        """The test part of a data set."""
        labels = data.labels[list(data.split.test)]
        triplets = all_pairs_triplets(labels, PHOTOS_IN_TRIPLETS, generator(seed, "test triplets"))
        trained = np.unique(data.labels[list(data.split.train)])
        classes = np.searchsorted(trained, labels) if np.isin(labels, trained).all() else None
        return cls(torch.tensor(data.split.test), labels, triplets, classes)

    def loss_and_accuracy(self, embeddings: Tensor, loss: Loss, distance: Distance) -> dict[str, float | None]:
        """Mean loss, and share of triplets with d_ap < d_an, of embeddings `[N, D]`.

        The loss is None where it is by class and the individuals did not train.
        """
        d_ap, d_an = triplet_distances(embeddings, self.triplets, distance)
        return {
            "test_loss": self._loss(embeddings, loss),
            "test_accuracy": (d_ap < d_an).double().mean().item(),
        }

    @torch.no_grad()
    def _loss(self, embeddings: Tensor, loss: Loss) -> float | None:
        by_class = bool(getattr(loss, "by_class", False))
        labels = self.classes if by_class else self.labels
        if labels is None:
            return None
        device = embeddings.device
        if isinstance(loss, nn.Module):
            loss.eval()
            device = next(chain(loss.parameters(), loss.buffers()), embeddings).device
        triplets = Triplets(*(index.to(device) for index in self.triplets))
        tuples = triplets if getattr(loss, "takes_tuples", not by_class) else None
        mean = loss(embeddings.to(device), torch.from_numpy(labels).to(device), tuples).mean.item()
        return mean if math.isfinite(mean) else None  # JSON has no other number


def judge(
    config: Config, data: Data, test: HeldOut, networks: Mapping[str, Tensor], distance: Distance
) -> tuple[dict[str, Any], OperatingPoint | None]:
    """The content of evaluation.json, and the threshold of the network called `trained`.

    Args:
        config: the run's.
        data: the run's.
        test: on what.
        networks: embeddings `[N, D]` of the test photos, by the network's name.
        distance: the run's.
    """
    settings = config.evaluation
    figures = {
        name: evaluate(embeddings, test.labels, test.triplets, distance, settings.confidence, settings.bootstrap,
                       config.seed)
        for name, embeddings in networks.items()
    }  # fmt: skip
    if config.split.by == "identity":
        point, notes = operating_point(
            networks["trained"], test.labels, distance, settings.false_accept_rate, settings.confidence,
            settings.bootstrap, config.seed,
        )  # fmt: skip
    else:
        point, notes = None, ['No threshold: with split.by = "photo" every individual trained the network, and a '
                              "threshold is only worth something for individuals that did not."]  # fmt: skip
    evaluation = {
        "individuals": len(np.unique(test.labels)),
        "photos": len(test.labels),
        "triplets": len(test.triplets.anchor),
        "confidence": settings.confidence,
        "bootstrap": settings.bootstrap,
        "split": config.split.by,
        "networks": {
            name: {metric: interval._asdict() for metric, interval in of._asdict().items()}
            for name, of in figures.items()
        },
        "threshold": None if point is None else point.as_json(),
        "notes": [*data.notes, *notes],
    }
    return evaluation, point


def manifest(config: Config, data: Data, built: Built, precision: Precision) -> dict[str, Any]:
    """The content of manifest.json, of a run that begins."""
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
            "left_out": [{"photo": line_of_name(finding.name), "reason": finding.reason} for finding in data.left_out],
            "sha256": data.fingerprint(),
        },
        "weights": dict(built.weights),
        "plugins": {file.name: sha256(file.read_bytes()).hexdigest() for file in config.plugins},
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
        "seconds": {},
    }


def completed(begun: Mapping[str, Any], timings: Mapping[str, float]) -> dict[str, Any]:
    """The manifest of a run that is done, from the one that it began with; photos are not hashed once more."""
    return {**begun, "complete": True, "written": _now(), "seconds": dict(timings)}


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
    evaluation: Mapping[str, Any],
) -> ReportData:
    """What the report shows; `trained` are the test photos' embeddings `[N, D]`."""
    same, different = _pair_distances(test, trained, distance, config.seed)
    return ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        stand_ins=stand_ins(data, built),
        facts=_facts(config, data, built, precision),
        epochs=tuple(epochs),
        findings=tuple(diagnose(epochs, margin_of(loss))),
        evaluation=evaluation,
        same=same,
        different=different,
        hardest=_hardest(data, test, trained, distance),
    )


def _facts(config: Config, data: Data, built: Built, precision: Precision) -> tuple[tuple[str, str], ...]:
    """What was done, as label and text."""
    parts = data.split.parts()
    photos = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    individuals = ", ".join(f"{len(set(data.labels[list(part)]))} {name}" for name, part in parts.items())
    parameters = sum(parameter.numel() for parameter in built.encoder.parameters())
    trainable = sum(parameter.numel() for parameter in built.encoder.trainable())
    trains = f"trained from {config.encoder.train_from}" if config.encoder.train_from else "all of it trained"
    size, sampler = config.data.size, config.sampler

    def component(table: ComponentTable) -> str:
        options = ", ".join(f"{key} {value}" for key, value in table.options.items())
        return f"{table.component} ({options})" if options else table.component

    batches = component(sampler)
    if any(parameter.name == "batch_size" for parameter in SAMPLERS.get(sampler.component).runtime):
        batches += f", batches of {sampler.batch_size}"
    miner = () if config.miner is None else (("Miner", component(config.miner)),)
    schedule = () if config.schedule is None else (("Schedule", component(config.schedule)),)
    own = () if config.loss.optimizer is None else (("Optimizer of the loss", component(config.loss.optimizer)),)
    optimizer = component(config.optimizer)
    if config.optimizer.layer_decay < 1:
        optimizer += f", layer by layer {config.optimizer.layer_decay} times the rate"
    if config.optimizer.clip_norm > 0:
        optimizer += f", gradients clipped to {config.optimizer.clip_norm}"
    if config.train.average > 0:
        optimizer += f", weights averaged with decay {config.train.average}"
    return (
        ("Photos", f"{photos}; reader {data.reader}"),
        ("Individuals", f"{individuals}; split by {config.split.by}"),
        ("Encoder", f"{config.encoder.component}, {trains}; {built.weights['source']} weights"),
        ("Parameters", f"{trainable:,} of {parameters:,} trained"),
        ("Embedding", f"{built.encoder.head.embedding_dim} dimensions, photos at {size} × {size}"),
        ("Distance", component(config.distance)),
        ("Sampler", batches),
        *miner,
        ("Loss", component(config.loss)),
        ("Optimizer", optimizer),
        *own,
        *schedule,
        ("Computed on", f"{precision.device.type}, {precision.name}; seed {config.seed}"),
    )


def _pair_distances(
    test: HeldOut, embeddings: Tensor, distance: Distance, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pairs = pairs_of(embeddings, test.labels, distance, generator(seed, "histogram"), MAX_DRAWN_PAIRS)
    distances = pairs.distance.astype(np.float32)
    return distances[pairs.same], distances[~pairs.same]


def _hardest(data: Data, test: HeldOut, embeddings: Tensor, distance: Distance) -> tuple[HardTriplet, ...]:
    """The triplets whose negative is nearest compared with the positive."""
    d_ap, d_an = triplet_distances(embeddings, test.triplets, distance)

    def picture(position: Tensor) -> Picture:
        photo = int(test.photos[position])
        record = data.records[photo]
        return Picture(record.name, record.individual, data.images[photo].permute(1, 2, 0).numpy())

    return tuple(
        HardTriplet(
            anchor=picture(test.triplets.anchor[t]),
            positive=picture(test.triplets.positive[t]),
            negative=picture(test.triplets.negative[t]),
            d_ap=d_ap[t].item(),
            d_an=d_an[t].item(),
        )
        for t in (d_ap - d_an).argsort(descending=True, stable=True)[:HARDEST].tolist()
    )
