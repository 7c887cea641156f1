"""What the report shows: plain values, gathered by the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.doctor import Finding

LARGEST = 512
"""Pixels of the longer side of a photo in the report; a larger one is shown smaller."""


@dataclass(frozen=True)
class StandIn:
    """Something that could not be had, and what took its place.

    Attributes:
        what: `data` or `weights`.
        wanted: what the config asked for.
        used: what is used instead.
        why: why the wanted thing could not be had.
        hint: how to get it.
    """

    what: str
    wanted: str
    used: str
    why: str
    hint: str


@dataclass(frozen=True)
class Picture:
    """A photo.

    Attributes:
        name: the record's.
        individual: who is on it.
        pixels: as the network saw it, uint8 RGB `[size, size, 3]`.
        photo: as it is, uint8 RGB `[height, width, 3]`; None where it is not at hand any more.
    """

    name: str
    individual: str
    pixels: NDArray[np.uint8]
    photo: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class HardTriplet:
    """A test triplet and its distances; the network is wrong where d_ap ≥ d_an."""

    anchor: Picture
    positive: Picture
    negative: Picture
    d_ap: float
    d_an: float


@dataclass(frozen=True)
class Ranking:
    """A test photo, and the other test photos that are nearest to it, nearest first, with their distances."""

    query: Picture
    found: tuple[tuple[Picture, float], ...]


@dataclass(frozen=True)
class ReportData:
    """Everything in a report.

    Attributes:
        name: the run's.
        created: when, as text.
        version: the library's.
        stand_ins: what is not the real thing.
        facts: what was done, as label and text.
        epochs: the lines of metrics.jsonl.
        kept_epoch: whose weights the model has.
        loss_by_class: whether the loss compares photos with individuals that trained, and the test's did not.
        findings: what the doctor says about them.
        evaluation: the content of evaluation.json.
        same: float32 `[S]`, distances of pairs of test photos of one individual.
        different: float32 `[D]`, distances of pairs of two individuals.
        rankings: of one test photo of some individuals.
        hardest: the hardest test triplets, hardest first.
        parts: the names of the individuals in each part of the split.
    """

    name: str
    created: str
    version: str
    stand_ins: tuple[StandIn, ...]
    facts: tuple[tuple[str, str], ...]
    epochs: tuple[Mapping[str, Any], ...]
    kept_epoch: int
    loss_by_class: bool
    findings: tuple[Finding, ...]
    evaluation: Mapping[str, Any]
    same: NDArray[np.float32]
    different: NDArray[np.float32]
    rankings: tuple[Ranking, ...]
    hardest: tuple[HardTriplet, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
