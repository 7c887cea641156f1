"""The optional attributes of a loss that limit its combinations, read in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LossTraits:
    """The optional attributes of a `Loss`, with defaults for missing ones.

    Attributes:
        by_class: whether the loss compares embeddings with parameters of each training individual.
        takes_tuples: whether the loss takes triplets or pairs of a sampler or a miner.
        measures_by: the measure that the loss fixes itself, `"cosine"`; None if it takes the distance of the run.
        assumes_unit_length: the option whose default holds only for embeddings of length 1, or None.
        mean_over_photos: whether the mean is over all embeddings of the batch even with tuples.
        fits_into_memory: whether the loss may be the inner loss of `cross-batch-memory`.
        margin: the loss of a triplet with d_ap = d_an, if the loss has a `margin` between distances; otherwise None.
        out_of_reach: function of `(least, greatest)` that names a margin no distance in the range reaches, or None.
        takes_before_neck: whether a call takes `before_neck`, the embeddings before the neck of the head.
        takes_remembered: whether a call takes `remembered`, the number of the last embeddings, which are no anchors and
            receive no gradient.
    """

    by_class: bool
    takes_tuples: bool
    measures_by: str | None
    assumes_unit_length: str | None
    mean_over_photos: bool
    fits_into_memory: bool
    margin: float | None
    out_of_reach: Callable[[float, float], str | None] | None
    takes_before_neck: bool = False
    takes_remembered: bool = False


def traits(loss: object) -> LossTraits:
    """The traits of a loss, whether built in, adapted or from a plugin."""
    by_class = bool(getattr(loss, "by_class", False))
    return LossTraits(
        by_class=by_class,
        takes_tuples=bool(getattr(loss, "takes_tuples", not by_class)),
        measures_by=getattr(loss, "measures_by", None),
        assumes_unit_length=getattr(loss, "assumes_unit_length", None),
        mean_over_photos=bool(getattr(loss, "mean_over_photos", False)),
        fits_into_memory=not by_class and bool(getattr(loss, "fits_into_memory", True)),
        margin=None if by_class else _margin(loss),
        out_of_reach=getattr(loss, "out_of_reach", None),
        takes_before_neck=bool(getattr(loss, "takes_before_neck", False)),
        takes_remembered=bool(getattr(loss, "takes_remembered", False)),
    )


def _margin(loss: object) -> float | None:
    margin = getattr(loss, "margin", None)
    if not isinstance(margin, int | float):
        return None
    hinge = getattr(loss, "hinge", "linear")
    if hinge == "soft":  # log(1 + exp(margin)), without overflow
        return max(float(margin), 0.0) + math.log1p(math.exp(-abs(margin)))
    try:
        return float(margin) ** 2 if hinge == "squared" else float(margin)
    except OverflowError:
        return math.inf
