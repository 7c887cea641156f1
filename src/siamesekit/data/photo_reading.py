"""Options that decide how photos are decoded and resized, and remarks on photos that are read with reservations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from siamesekit.wording import first_of

Depth = Literal["full", "set", "photo"]
Truncated = Literal["refuse", "accept"]
Resampling = Literal["bilinear", "bicubic"]
LEAST_SHARE = 0.1
"""Smallest `crop_share`."""
SHOWN_NAMES = 5


class Remark(NamedTuple):
    """A reservation about a photo that is read nevertheless: what is the case, and what helps."""

    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How photos are decoded and resized, as the keys of these names in the table `[data]` of a config say.

    Attributes:
        depth: range of values that becomes 0 … 255 in photos of more than 8 bits per sample: `full`, that of the data
            type; `set`, that of the training photos; `photo`, that of each photo.
        value_range: with `set`, the smallest and the largest value of the training photos; None if none of them has
            more than 8 bits, and then `full` holds.
        truncated: whether JPEGs that lack only their last bytes are refused or accepted.
        max_megapixels: largest photo that is decoded, in millions of pixels.
        resampling: how a photo is resized: by a bilinear or a bicubic filter, which is widened where photos shrink.
        crop_share: with the fit `crop`, the share of the shorter side that is kept, 0.1 … 1: the shorter side gets
            ⌊size / share⌋ pixels, and the middle size × size of them is kept, in whole pixels, as in torchvision and
            timm. None: the middle square is kept whole, and lies where it should to a fraction of a pixel.
    """

    __module__ = "siamesekit"

    depth: Depth = "full"
    value_range: tuple[float, float] | None = None
    truncated: Truncated = "refuse"
    max_megapixels: int = 100
    resampling: Resampling = "bilinear"
    crop_share: float | None = None


PLAIN = Reading()
"""Reading without any option."""
FOR_PICTURES = Reading(depth="photo", truncated="accept", max_megapixels=1000)
"""Reading of photos that a model has already read, for pictures that people look at and for keypoints."""


def remark_lines(remarks: Sequence[tuple[str, Remark]]) -> list[str]:
    """One line for each kind of remark, with the number of its photos and the names of the first ones.

    Args:
        remarks: names of photos, each with a remark.
    """
    names: dict[Remark, list[str]] = {}
    for name, remark in remarks:
        names.setdefault(remark, []).append(name)
    return [
        f"{len(of)} photo{'' if len(of) == 1 else 's'} {remark.reason}: {first_of(of, SHOWN_NAMES)}; {remark.mend}"
        for remark, of in names.items()
    ]
