"""Types of options: a number with its range, a path, a choice, another component.

A component's signature is its schema, so the annotation of a parameter states its range:
`margin: Positive = 1.0`. Choices are `typing.Literal`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class Nested:
    """Marks an option that is itself a component, with its own table: `[loss.distance]` with `name = "…"`.

    The callable receives the component, built with the same runtime values. An option of type `list[Any]` receives a
    list of components, as from `[[augmentation.steps]]`.

    Attributes:
        kind: the component's kind, as in `siamesekit show KIND NAME`.
        weighted: whether the table of each component also has the key `weight`, a number above 0, 1.0 by default. The
            callable then receives a list of `Weighted`.
    """

    kind: str
    weighted: bool = False


class Weighted(NamedTuple):
    """A component of a list, and its weight."""

    component: Any
    weight: float


ADistance = Annotated[Any, Nested("distance")]
"""A distance with its own table."""
ALoss = Annotated[Any, Nested("loss")]
"""A loss with its own table."""
AMiner = Annotated[Any, Nested("miner")]
"""A miner with its own table."""
Miners = Annotated[list[Any], Nested("miner")]
"""Miners, each with its own table."""
AReducer = Annotated[Any, Nested("reducer")]
"""A reducer with its own table."""
ARegularizer = Annotated[Any, Nested("regularizer")]
"""A regularizer with its own table."""
Losses = Annotated[list[Any], Nested("loss")]
"""Losses, each with its own table."""
WeightedLosses = Annotated[list[Any], Nested("loss", weighted=True)]
"""Losses, each with its own table and a key `weight`."""
Trackers = Annotated[list[Any], Nested("tracker")]
"""Trackers, each with its own table."""
Augmentations = Annotated[list[Any], Nested("augmentation")]
"""Augmentations, each with its own table."""

Positive = Annotated[float, Gt(0)]
"""A number above 0."""
NonNegative = Annotated[float, Ge(0)]
"""A number of at least 0."""
Fraction = Annotated[float, Ge(0), Le(1)]
"""A share from 0 to 1, both included."""
OpenFraction = Annotated[float, Gt(0), Lt(1)]
"""A share strictly between 0 and 1."""
Count = Annotated[int, Ge(1)]
"""A whole number of at least 1."""
Several = Annotated[int, Ge(2)]
"""A whole number of at least 2."""
Limited = Annotated[int, Ge(1), Le(1_000_000)]
"""A whole number from 1 to a million, for things that each take memory or time."""
Index = Annotated[int, Ge(0)]
"""A whole number of at least 0."""

__all__ = [
    "ADistance",
    "ALoss",
    "AMiner",
    "AReducer",
    "ARegularizer",
    "Augmentations",
    "Count",
    "Fraction",
    "Index",
    "Limited",
    "Losses",
    "Miners",
    "Nested",
    "NonNegative",
    "OpenFraction",
    "Path",
    "Positive",
    "Several",
    "Trackers",
    "Weighted",
    "WeightedLosses",
]
