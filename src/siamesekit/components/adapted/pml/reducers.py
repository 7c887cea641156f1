"""Reducers `pml/*`: the reducers of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from siamesekit.components.adapted.pml.bridge import construct
from siamesekit.registry import REDUCERS


@REDUCERS.register("pml/*", members="siamesekit.registry.adapted.pml:reducers")
def pml_reducer(*, model: str, options: dict[str, Any]) -> Any:
    """The reducers of pytorch-metric-learning by name, for the losses `pml/*`: terms of a loss `[T]` → a scalar."""
    return construct("reducers", model, options)
