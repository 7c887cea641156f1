"""Reducers `pml/*`: those of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from siamesekit.pml import construct
from siamesekit.registry import REDUCERS


@REDUCERS.register("pml/*", members="siamesekit.adapted.pml:reducers")
def pml_reducer(*, model: str, options: dict[str, Any]) -> Any:
    """The reducers of pytorch-metric-learning by name, for the losses `pml/*`: a loss's terms `[T]` → a scalar."""
    return construct("reducers", model, options)
