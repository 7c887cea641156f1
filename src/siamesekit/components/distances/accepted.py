"""Validation of a plugin's distance on a few rows."""

from __future__ import annotations

import typing
from typing import Any

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, RanksAs
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming

QUERIES, ROWS, DIMENSIONS = 3, 5, 8


def refuse_what_is_none(distance: Distance, component: Component) -> None:
    """Refuse a plugin's distance that fails, or does not give one number for each pair of rows.

    Shapes must broadcast, `[..., D]`, `[..., D]` → `[...]`; values may be negative.

    Args:
        distance: the distance of the plugin.
        component: the component that built it.

    Raises:
        PluginError: the distance is invalid.
    """
    ranks_as = getattr(distance, "ranks_as", None)
    if ranks_as is not None and ranks_as not in typing.get_args(RanksAs):
        choices = ", ".join(map(repr, typing.get_args(RanksAs)))
        raise PluginError(f"{called(component)} has ranks_as {ranks_as!r}; expected one of {choices}, or none")
    rows = torch.randn(QUERIES + ROWS, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    a, b = rows[:QUERIES], rows[QUERIES:]
    matrix = _measured(distance, component, a[:, None], b, [QUERIES, ROWS])
    _measured(distance, component, a, a.flip(0), [QUERIES])
    _measured(distance, component, a[0], b[0], [])
    _measured(distance, component, a, a, [QUERIES])
    own = getattr(distance, "pairwise", None)
    if own is not None:
        with naming(component, "pairwise"):
            pairs = own(a, b)
        _refuse(pairs, component, [QUERIES, ROWS], "pairwise")
        if not torch.allclose(pairs, matrix, rtol=1e-3, atol=1e-4):
            raise PluginError(
                f"{called(component)} gives different distances by pairwise and by __call__; expected the same up to "
                "rounding"
            )


def _measured(distance: Distance, component: Component, a: Tensor, b: Tensor, shape: list[int]) -> Tensor:
    with naming(component, "__call__"):
        found = distance(a, b)
    _refuse(found, component, shape, f"{list(a.shape)} and {list(b.shape)}")
    return found


def _refuse(found: Any, component: Component, shape: list[int], what: str) -> None:
    if not isinstance(found, Tensor) or list(found.shape) != shape or not found.is_floating_point():
        raise PluginError(
            f"{called(component)} gives {given(found)} for {what}; expected a float tensor {shape}, one "
            "number for each pair of rows"
        )
    if not bool(found.isfinite().all()):
        raise PluginError(
            f"{called(component)} gives distances that are not finite for {what}; expected finite distances of finite "
            "embeddings"
        )
