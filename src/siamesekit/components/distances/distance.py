"""The protocol `Distance` of distance components, and the matrix of all distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch.nn.functional as F
from torch import Tensor

from siamesekit.hardware.float32 import at_least_float32, full_precision
from siamesekit.registry import DISTANCES
from siamesekit.registry.nested import component_from

RanksAs = Literal["euclidean", "cosine", "dot"]


class Distance(Protocol):
    """Distance between corresponding embeddings, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`.

    Smaller means nearer. A distance may have these optional attributes:

    - `pairwise(a [N, D], b [M, D]) → [N, M]`: all distances, if that is faster than broadcasting.
    - `ranks_as`: enables the fast search for nearest neighbours (`siamesekit.nearest`). "euclidean" if the values are a
      strictly increasing function of Σ (a − b)², "cosine" of 1 − cos, "dot" of −Σ a·b, computed in the float type of
      the embeddings from differences, from `cosine_similarity`, or from products. The function must be strict up to
      the last bit or two: one that levels out, such as 1 − exp(−d²), creates false ties.
    - `sums_rows = True`: its D terms are added by `sum(dim=-1)`, whose rounding is less than that of a sum in any order
      (`distances.summation`); figures of individuals with very many photos are then faster.
    - `range` and `unit_range`: the least and the greatest value for any embeddings and for embeddings of length 1, by
      which margins are checked: (0, ∞) and (0, 2) for `euclidean`.
    """

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """The distance of `a` from `b`."""
        ...


Distance.__module__ = "siamesekit"


DistanceLike = Distance | str | Mapping[str, Any]
"""A distance, its name, or a table with its name and options."""


def as_distance(distance: DistanceLike) -> Distance:
    """The distance itself, or the one that its name or table describes.

    Raises:
        ComponentError: it is not a distance, or the name is unknown.

    >>> as_distance("cosine")
    Cosine()
    """
    found: Distance = component_from(distance, DISTANCES, "distance")
    return found


def range_of(distance: Distance, unit_length: bool = False) -> tuple[float, float] | None:
    """The least and the greatest value that a distance declares; None if it declares none.

    Args:
        distance: the distance.
        unit_length: whether the embeddings have length 1.
    """
    found: tuple[float, float] | None = getattr(distance, "range", None)
    return getattr(distance, "unit_range", found) if unit_length else found


def pairwise(distance: DistanceLike, a: Tensor, b: Tensor) -> Tensor:
    """All distances between two sets of embeddings: `[N, D]`, `[M, D]` → `[N, M]`, in float32 or better.

    Uses `pairwise` of the distance if it exists; otherwise works row by row, in O(M · D) memory beside the result.
    Autocast and TF32 are off (`full_precision`), and lower precision is raised to float32.

    >>> import torch
    >>> from siamesekit.components.distances.manhattan import manhattan
    >>> pairwise(manhattan, torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0], [5.0]]))
    tensor([[0., 1., 5.],
            [1., 0., 4.]])
    """
    distance, a, b = as_distance(distance), at_least_float32(a), at_least_float32(b)
    with full_precision(a.device):
        own = getattr(distance, "pairwise", None)
        if own is not None:
            matrix: Tensor = own(a, b)
            return matrix
        result = a.new_empty(len(a), len(b))
        for row, anchor in enumerate(a):
            result[row] = distance(anchor[None], b)
        return result


def in_finite_order(distances: Tensor) -> Tensor:
    """Finite numbers in the order of distances: `[...]` → `[...]`, unchanged if all are finite, else float64 ranks.

    Equal distances stay equal. All NaN rank alike, after infinity. The caller can then mark exclusions by infinity.

    >>> import torch
    >>> in_finite_order(torch.tensor([torch.nan, 2.0, torch.inf, 2.0, -torch.inf]))
    tensor([4., 2., 3., 2., 0.], dtype=torch.float64)
    """
    if bool(distances.isfinite().all()):
        return distances
    lost = distances.isnan()
    values, rank = distances.masked_fill(lost, 0).unique(return_inverse=True)
    ranks: Tensor = rank.double()
    return ranks.masked_fill(lost, len(values)) if bool(lost.any()) else ranks


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to length 1: `[..., D]` → `[..., D]`, x / max(|x|, 1e-8), in float32 or better.

    A zero row stays 0. The bound 1e-8 is that of PyTorch's `cosine_similarity`.
    """
    return F.normalize(at_least_float32(rows), dim=-1, eps=1e-8)
