"""What the photos of a new project suggest for its config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from siamesekit.data.records import Record
from siamesekit.data.splits import Split


@dataclass(frozen=True)
class Choices:
    """Values of the config that fit the photos.

    Attributes:
        size: image size in pixels.
        fit: how photos are made square.
        by: what is split: individuals or photos, or `column`: the photos say in which part they are.
        unmatched: with `column`, what test photos are whose individuals only test.
        train: share that trains.
        validation: share of the training part that validates.
        split: photos of each part, as indices into `kept`.
        kept: records of the individuals with two photos or more.
        individuals: P of the sampler.
        photos: K of the sampler.
        epochs: number of epochs.
    """

    size: int
    fit: Literal["squash", "pad"]
    by: Literal["identity", "photo", "column"]
    train: float
    validation: float
    split: Split
    kept: tuple[Record, ...]
    individuals: int
    photos: int
    epochs: int
    unmatched: Literal["refuse", "new"] = "refuse"
