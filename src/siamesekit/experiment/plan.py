"""The plan of a run: what it will do, and its cost, measured on a few images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import count_triplets
from siamesekit.config import Config, EncoderTable
from siamesekit.data.pixel_store import GIB
from siamesekit.engine.chunking import chunking, memory_budget, why_whole
from siamesekit.engine.cost import frozen_seconds, measure_cost
from siamesekit.engine.frozen.prefix import CacheLimit, store
from siamesekit.engine.optimization import steps_of
from siamesekit.evaluation.pixel_baseline import pixel_bytes, pixel_side
from siamesekit.experiment.memory_advice import for_memory, for_one_photo
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.tracking import trackers_of
from siamesekit.experiment.training_photos import TrainingPhotos, training_photos
from siamesekit.hardware.memory import memory_for
from siamesekit.wording import duration, first_of, size

SHOWN_NAMES = 5
"""Most names of test individuals that a plan shows."""
MEASURED_IMAGES = 32
BASE_BYTES = 600_000_000
"""Memory of Python and torch before any photo is read."""
WEIGHT_BYTES = 16
"""Bytes per trained weight: the weight, its gradient, and two moments of the gradient."""
FROZEN_BYTES = 4
"""Bytes per weight that does not train."""
AVERAGE_BYTES = 8
"""Bytes per averaged weight: the average, and a copy of the weight while the average replaces it."""
GROUP_BYTES = 4
"""Bytes per trained weight for the gradients of a group's earlier batches, kept while the next batch adds its own."""
MATRICES = 8
"""Most distance matrices of a batch in memory at a time, in a step over all its triplets."""
COMPARED = 8
"""Memory for comparing the test photos' pixels, as a multiple of their size."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run would do and cost.

    Attributes:
        individuals: number of individuals in each part of the split.
        photos: number of photos in each part of the split.
        triplets: number of triplets in an epoch; None if a miner selects them.
        batches: number of batches in an epoch.
        steps: number of steps of the optimizer in the whole run.
        parameters: number of the encoder's parameters.
        trainable: number of the encoder's parameters that train.
        weights: weights that the run will start from; planning does not download them.
        stand_ins: description of each stand-in in use.
        frozen_part: whether the frozen part's output is cached, and why.
        cache_bytes: size of what is stored of all photos.
        memory_bytes: estimate of the process's peak memory.
        seconds: estimate for the whole run.
        device: device and number format.
        test_individuals: names of the individuals in the test set.
        left_out: photos that will not be used, and why, one sentence each.
        leaks: what the test photos have in common with the other photos, one sentence for each count.
        mirrored: number of training photos that also train mirrored, as individuals of their own.
        told_apart: the columns by which individuals are divided in training, and their number then; else empty.
        tracked: names of the trackers.
        accumulate: number of batches whose mean gradient makes a step.
        lora: the layers with LoRA, in words; else empty.
    """

    __module__ = "siamesekit"

    individuals: dict[str, int]
    photos: dict[str, int]
    triplets: int | None
    batches: int
    steps: int
    parameters: int
    trainable: int
    weights: str
    stand_ins: tuple[str, ...]
    frozen_part: str
    cache_bytes: int
    memory_bytes: int
    seconds: float
    device: str
    test_individuals: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    mirrored: int = 0
    told_apart: str = ""
    tracked: tuple[str, ...] = ()
    accumulate: int = 1
    lora: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """The plan as pairs of label and text."""
        chosen = "chosen by the miner," if self.triplets is None else str(self.triplets)
        tested = self.test_individuals
        rows = [
            ("individuals", ", ".join(f"{count} {part}" for part, count in self.individuals.items())),
            *([("kept for the test", f"{len(tested)}: {first_of(tested, SHOWN_NAMES)}")] if tested else []),
            ("photos", ", ".join(f"{count} {part}" for part, count in self.photos.items())),
            *(("leak", leak.rstrip(".")) for leak in self.leaks),
            *([("told apart", self.told_apart)] if self.told_apart else []),
            *([("mirrored", f"{self.mirrored} train photos, as further individuals")] if self.mirrored else []),
            ("triplets an epoch", f"{chosen} in {self.batches} batches"),
            ("steps", str(self.steps) + (f", of up to {self.accumulate} batches each" if self.accumulate > 1 else "")),
            ("parameters", f"{self.trainable:,} of {self.parameters:,} train"),
            *([("LoRA", self.lora)] if self.lora else []),
            ("weights", self.weights),
            ("frozen part", f"{self.frozen_part} ({size(self.cache_bytes)})"),
            ("device", self.device),
            *([("tracked by", ", ".join(self.tracked))] if self.tracked else []),
            ("memory, about", size(self.memory_bytes)),
            ("time, about", duration(self.seconds)),
        ]
        return rows + [("STAND-IN", stand_in) for stand_in in self.stand_ins]

    def __repr__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        return "\n".join(["Plan", *(f"  {label:<{width}}  {text}" for label, text in rows)])

    def _repr_html_(self) -> str:
        """The plan as a notebook shows it, with all text escaped."""
        rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in self.rows())
        return f"<table><tbody>{rows}</tbody></table>"


def plan(setup: Setup, batches: Sequence[Batch], steps: int | None = None) -> Plan:
    """Count the work, and estimate time and memory from a forward and backward pass of a few images.

    Args:
        setup: setup of the run.
        batches: planned batches of an epoch, all or the first ones.
        steps: number of batches in an epoch; None if `batches` are all. The others count as the average of `batches`.

    Raises:
        UserError: the pass does not fit into memory.
    """
    config, data, encoder, compute = setup.config, setup.dataset, setup.encoder, setup.compute
    training = training_photos(config, data)
    mirrored = len(training.images) - len(data.split.train)
    trainable = sum(parameter.numel() for parameter in encoder.trainable())
    photos, few = len(data.images) + mirrored, data.images[:MEASURED_IMAGES]
    views = 0 if config.augmentation is None else config.augmentation.views
    outputs = photos + views * len(training.images)
    start = time.perf_counter()
    with memory_for(f"a pass over {len(few)} photos", "lower data.size, or take a smaller encoder"):
        stored = store(encoder, few, compute, limit=CacheLimit(int(config.encoder.cache_gib * GIB), outputs))
        once = time.perf_counter() - start  # mostly setup, independent of the number of photos
        storing = once + outputs * frozen_seconds(encoder, few, compute) if stored.cached else 0.0
        cost = measure_cost(encoder, stored, compute)
    distinct = [len(batch.images) for batch in batches]
    budget = memory_budget(config.train.memory_gib, compute)
    whole = why_whole(encoder, stored, compute)
    advice = for_memory(config, whole), for_one_photo(config)
    chunks = chunking(cost, max(distinct), budget, whole, *advice)
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    steps = len(batches) if steps is None else steps
    share = steps / len(batches)
    active = min(max(distinct), chunks.held + chunks.size)
    matrices = MATRICES * 4 * max(distinct) ** 2 if any(batch.triplets is None for batch in batches) else 0
    moved = WEIGHT_BYTES + (AVERAGE_BYTES if config.train.average > 0 else 0)
    moved += GROUP_BYTES if config.train.accumulate > 1 else 0
    pixels = data.images[:1].numel() * photos
    held = pixels if pixels <= config.data.memory_gib * GIB else 0
    cache = stored.bytes // len(few) * (outputs if stored.cached else photos)
    tested = len(data.split.test)
    compared = COMPARED * pixel_bytes(tested, pixel_side(tested, data.images.shape[-1]))
    working = max(active * cost.bytes + matrices, compared)  # never at the same time
    who = data.individuals_by_part()
    return Plan(
        individuals={name: len(names) for name, names in who.items()},
        photos={name: len(part) for name, part in data.split.parts().items()},
        triplets=None if config.miner else round(share * sum(_triplets(batch, training.labels) for batch in batches)),
        batches=steps,
        steps=steps_of(steps, config.train.accumulate) * config.train.epochs,
        parameters=weights,
        trainable=trainable,
        weights=_weights(config.encoder),
        stand_ins=tuple(stand_in.used for stand_in in setup.stand_ins),
        frozen_part=stored.why,
        cache_bytes=cache,
        memory_bytes=BASE_BYTES
        + held
        + (cache if stored.cached else 0)
        + working
        + moved * trainable
        + FROZEN_BYTES * (weights - trainable),
        seconds=storing + config.train.epochs * (share * sum(distinct) + tested / 3) * cost.seconds,
        device=f"{compute.device.type}, {compute.name}",
        test_individuals=who.get("test", ()),
        left_out=data.notes,
        leaks=() if data.leaks is None else tuple(data.leaks.sentences()),
        mirrored=mirrored,
        told_apart=_told_apart(config, training),
        tracked=tuple(table["name"] for table in trackers_of(config)),
        accumulate=config.train.accumulate,
        lora="" if setup.prepared.lora is None else str(setup.prepared.lora),
    )


def _told_apart(config: Config, training: TrainingPhotos) -> str:
    columns = " and ".join(config.sampler.apart)
    return f"by {columns}, the individuals train as {len(training.counts())}" if columns else ""


def _triplets(batch: Batch, labels: NDArray[np.int64]) -> int:
    """The number of triplets in a batch: the sampler's, or all triplets of its individuals."""
    if batch.triplets is not None:
        return len(batch.triplets.anchor)
    return int(count_triplets(torch.from_numpy(labels)[batch.images]))


def _weights(encoder: EncoderTable) -> str:
    if encoder.stand_in is None:
        return str(encoder.weights)
    return f"{encoder.weights}, or {encoder.stand_in.weights} as a stand-in"
