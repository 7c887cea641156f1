"""The plan of a run: what it will do, and what it will cost, measured by a short trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.config import Config, EncoderTable
from siamesekit.data.pixel_store import GIB
from siamesekit.data.samplers.batch import Batch
from siamesekit.engine.frozen_prefix import store
from siamesekit.engine.precision import Precision
from siamesekit.engine.steps import why_whole
from siamesekit.engine.trial import chunking, frozen_seconds, memory_budget, trial
from siamesekit.errors import first_of
from siamesekit.evaluation import pixel_bytes, pixel_side
from siamesekit.figures import duration, size
from siamesekit.fitting import training_labels
from siamesekit.memory_advice import for_memory
from siamesekit.preparation import Built, Data, memory_for
from siamesekit.triplets import count_triplets

SHOWN_NAMES = 5
"""Of the individuals that are kept for the test."""
TRIAL_IMAGES = 32
BASE_BYTES = 600_000_000
"""What Python and torch hold before any photo is read."""
WEIGHT_BYTES = 16
"""Of a weight that trains: itself, its gradient, and two moments of it."""
AVERAGE_BYTES = 8
"""Of a weight's average: itself, and the weight while the average is in its place."""
MATRICES = 8
"""How many matrices of a batch's distances a step over all of its triplets has at a time, at most."""
COMPARED = 8
"""How many times their own size comparing the test photos' pixels takes."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run would do.

    Attributes:
        individuals: number in each part.
        photos: number in each part.
        triplets: trained on in an epoch; None where a miner chooses them.
        batches: steps in an epoch.
        steps: in the whole run.
        parameters: of the encoder.
        trainable: of those, the ones that train.
        weights: what the run will start from; nothing has been fetched.
        stand_ins: a line for each in use.
        frozen_part: whether its output is cached, and why.
        cache_bytes: size of what is kept of all photos.
        memory_bytes: estimate of the peak, for the whole process.
        seconds: estimate for the whole run.
        device: where and in which number format.
        test_individuals: who is kept out of the training to test it, or, split by photo, whose photos are.
        left_out: which photos will not be used, and why, a sentence each.
    """

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

    def rows(self) -> list[tuple[str, str]]:
        """What is planned, as pairs of label and text."""
        chosen = "chosen by the miner," if self.triplets is None else str(self.triplets)
        tested = self.test_individuals
        rows = [
            ("individuals", ", ".join(f"{count} {part}" for part, count in self.individuals.items())),
            *([("kept for the test", f"{len(tested)}: {first_of(tested, SHOWN_NAMES)}")] if tested else []),
            ("photos", ", ".join(f"{count} {part}" for part, count in self.photos.items())),
            ("triplets an epoch", f"{chosen} in {self.batches} batches"),
            ("steps", str(self.steps)),
            ("parameters", f"{self.trainable:,} of {self.parameters:,} train"),
            ("weights", self.weights),
            ("frozen part", f"{self.frozen_part} ({size(self.cache_bytes)})"),
            ("device", self.device),
            ("memory, about", size(self.memory_bytes)),
            ("time, about", duration(self.seconds)),
        ]
        return rows + [("STAND-IN", stand_in) for stand_in in self.stand_ins]

    def __repr__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        return "\n".join(["Plan", *(f"  {label:<{width}}  {text}" for label, text in rows)])

    def _repr_html_(self) -> str:
        """As a notebook shows it; everything is escaped."""
        rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in self.rows())
        return f"<table><tbody>{rows}</tbody></table>"


def plan(
    config: Config,
    data: Data,
    built: Built,
    batches: Sequence[Batch],
    precision: Precision,
    steps: int | None = None,
) -> Plan:
    """Count the work, and estimate time and memory from one forward and backward pass of a few images.

    Args:
        config: the run's.
        data: the run's.
        built: the encoder.
        batches: an epoch's, as planned, or its first ones.
        precision: device and number format.
        steps: how many batches an epoch has; None: those. The others count as these do on average.

    Raises:
        UserError: the pass does not fit into memory.
    """
    labels = training_labels(data)
    encoder = built.encoder
    trainable = sum(parameter.numel() for parameter in encoder.trainable())
    photos, few = len(data.images), data.images[:TRIAL_IMAGES]
    views = 0 if config.augmentation is None else config.augmentation.views
    outputs = photos + views * len(data.split.train)
    start = time.perf_counter()
    with memory_for(f"a pass over {len(few)} photos", "lower data.size, or take a smaller encoder"):
        stored = store(encoder, few, precision, limit=int(config.encoder.cache_gib * GIB), outputs=outputs)
        once = time.perf_counter() - start  # most of it is setting up, which more photos do not make longer
        storing = once + outputs * frozen_seconds(encoder, few, precision) if stored.cached else 0.0
        cost = trial(encoder, stored, precision)
    distinct = [len(batch.images) for batch in batches]
    budget = memory_budget(config.train.memory_gib, precision)
    whole = why_whole(encoder, stored, precision)
    cut = chunking(cost, max(distinct), budget, whole, for_memory(config, whole))
    steps = len(batches) if steps is None else steps
    share = steps / len(batches)
    active = min(max(distinct), cut.held + cut.size)
    matrices = MATRICES * 4 * max(distinct) ** 2 if any(batch.triplets is None for batch in batches) else 0
    moved = WEIGHT_BYTES + (AVERAGE_BYTES if config.train.average > 0 else 0)
    held = data.images.numel() if data.images.numel() <= config.data.memory_gib * GIB else 0
    cache = stored.bytes // len(few) * (outputs if stored.cached else photos)
    tested = len(data.split.test)
    compared = COMPARED * pixel_bytes(tested, pixel_side(tested, data.images.shape[-1]))
    working = max(active * cost.bytes + matrices, compared)  # one after the other
    who = data.individuals_by_part()
    return Plan(
        individuals={name: len(names) for name, names in who.items()},
        photos={name: len(part) for name, part in data.split.parts().items()},
        triplets=None if config.miner else round(share * sum(_triplets(batch, labels) for batch in batches)),
        batches=steps,
        steps=steps * config.train.epochs,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        trainable=trainable,
        weights=_weights(config.encoder),
        stand_ins=tuple(each.used for each in (data.stand_in, built.stand_in) if each is not None),
        frozen_part=stored.why,
        cache_bytes=cache,
        memory_bytes=BASE_BYTES + held + (cache if stored.cached else 0) + working + moved * trainable,
        seconds=storing + config.train.epochs * (share * sum(distinct) + tested / 3) * cost.seconds,
        device=f"{precision.device.type}, {precision.name}",
        test_individuals=who.get("test", ()),
        left_out=data.notes,
    )


def _triplets(batch: Batch, labels: NDArray[np.int64]) -> int:
    """How many triplets a batch trains, those of its individuals where the sampler names none."""
    if batch.triplets is not None:
        return len(batch.triplets.anchor)
    return int(count_triplets(torch.from_numpy(labels)[batch.images]))


def _weights(encoder: EncoderTable) -> str:
    if encoder.stand_in is None:
        return str(encoder.weights)
    return f"{encoder.weights}; where they cannot be had, {encoder.stand_in.weights}"
