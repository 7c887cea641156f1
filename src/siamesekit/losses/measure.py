"""By what a loss measures, where it fixes that itself, and whether a distance ranks alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from siamesekit.distances.distance import Distance
from siamesekit.errors import ComponentError

POINTS, DIMENSIONS = 32, 8
"""On how many random embeddings, and of how many dimensions, a distance's ranks are compared with the cosine's."""


def ranks_as_cosine(distance: Distance, unit_length: bool) -> bool:
    """Whether a distance ranks random embeddings, of length 1 or not, as the cosine does.

    Args:
        distance: any.
        unit_length: whether the run's embeddings have length 1.
    """
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(POINTS, DIMENSIONS, generator=generator, dtype=torch.float64)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    shown = unit if unit_length else embeddings
    anchor, others = shown[:1], shown[1:]
    cosines = (unit[:1] * unit[1:]).sum(1)
    return torch.equal(distance(anchor, others).argsort(), (-cosines).argsort())


def refuse_another_measure(name: str, loss: Any, left: Mapping[str, Any]) -> None:
    """Refuse a distance that a loss does not take and that ranks otherwise than the loss measures.

    A distance that ranks embeddings of length 1 alike is let pass: nobody has said how long the embeddings will be.

    Args:
        name: the loss's.
        loss: built.
        left: the runtime values that it was given and does not take.

    Raises:
        ComponentError: the distance would be dropped without a word.
    """
    distance = left.get("distance")
    if distance is None or getattr(loss, "measures_by", None) != "cosine" or ranks_as_cosine(distance, True):
        return
    raise ComponentError(f"loss {name!r} measures by the cosine, and distance {distance!r} ranks otherwise: leave the "
                         'distance out, or give "cosine"')  # fmt: skip
