"""Whether a distance ranks embeddings like a loss that fixes its own measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from siamesekit.components.distances.distance import Distance
from siamesekit.components.losses.traits import traits
from siamesekit.errors import ComponentError

POINTS, DIMENSIONS = 32, 8
"""Number and dimension of the random embeddings on which ranks are compared."""


def ranks_as_cosine(distance: Distance, unit_length: bool) -> bool:
    """Whether a distance ranks random embeddings as the cosine does.

    Args:
        distance: the distance.
        unit_length: whether the embeddings are scaled to length 1.
    """
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(POINTS, DIMENSIONS, generator=generator, dtype=torch.float64)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    points = unit if unit_length else embeddings
    anchor, others = points[:1], points[1:]
    cosines = (unit[:1] * unit[1:]).sum(1)
    return torch.equal(distance(anchor, others).argsort(), (-cosines).argsort())


def refuse_another_measure(name: str, loss: Any, left: Mapping[str, Any]) -> None:
    """Refuse a distance that a loss would ignore and that ranks embeddings differently from the loss.

    A distance that ranks embeddings of length 1 alike is accepted, since the length of the embeddings is unknown here.

    Args:
        name: name of the loss.
        loss: the loss.
        left: the runtime values that the loss does not take.

    Raises:
        ComponentError: the distance would be ignored silently.
    """
    distance = left.get("distance")
    if distance is None or traits(loss).measures_by != "cosine" or ranks_as_cosine(distance, True):
        return
    raise ComponentError(
        f"loss {name!r} measures by the cosine, but distance {distance!r} ranks differently: leave the "
        'distance out, or give "cosine"'
    )
