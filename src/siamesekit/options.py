"""The types that options are made of: a number with its range, a path, a choice.

A component's signature is its schema, so a range is written where the parameter is:
`margin: Positive = 1.0`. Choices are `typing.Literal`s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

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
Index = Annotated[int, Ge(0)]
"""A whole number of at least 0."""

__all__ = ["Count", "Fraction", "Index", "NonNegative", "OpenFraction", "Path", "Positive", "Several"]
