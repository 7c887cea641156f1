"""Regularizers `pml/*`: the regularizers of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from siamesekit.components.adapted.pml.bridge import construct
from siamesekit.registry import REGULARIZERS


@REGULARIZERS.register("pml/*", members="siamesekit.registry.adapted.pml:regularizers")
def pml_regularizer(*, model: str, options: dict[str, Any], num_classes: int = 0) -> Any:
    """The regularizers of pytorch-metric-learning by name, for the losses `pml/*`: rows `[N, D]` → a scalar."""
    return construct("regularizers", model, options, num_classes=num_classes)
