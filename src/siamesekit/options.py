"""The types that options are made of: a number with its range, a path, a choice, another component.

A component's signature is its schema, so a range is written where the parameter is:
`margin: Positive = 1.0`. Choices are `typing.Literal`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class Nested:
    """Marks an option that is itself a component, in a table of its own: `[loss.distance]` with `name = "…"`.

    The callable receives the component, built with the same runtime values; with `list[Any]` a list of them, from
    `[[augmentation.steps]]`.

    Attributes:
        kind: the component's kind, as in `siamesekit show KIND NAME`.
    """

    kind: str


ADistance = Annotated[Any, Nested("distance")]
"""A distance of its own table."""
ALoss = Annotated[Any, Nested("loss")]
"""A loss of its own table."""
AMiner = Annotated[Any, Nested("miner")]
"""A miner of its own table."""
Miners = Annotated[list[Any], Nested("miner")]
"""Miners, a table each."""
AReducer = Annotated[Any, Nested("reducer")]
"""A reducer of its own table."""
ARegularizer = Annotated[Any, Nested("regularizer")]
"""A regularizer of its own table."""
Losses = Annotated[list[Any], Nested("loss")]
"""Losses, a table each."""
Augmentations = Annotated[list[Any], Nested("augmentation")]
"""Augmentations, a table each."""

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
"""A whole number from 1 to a million: of things that each take memory or time."""
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
]
