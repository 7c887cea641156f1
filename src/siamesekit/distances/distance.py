"""What every distance component is: a callable on rows; smaller means nearer."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Distance(Protocol):
    """Distance between corresponding embeddings, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`.

    A component may also have `pairwise(a [N, D], b [M, D]) → [N, M]` where that is faster than broadcasting.
    """

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """The distance of `a` from `b`."""
        ...


def pairwise(distance: Distance, a: Tensor, b: Tensor) -> Tensor:
    """All distances between two sets of embeddings: `[N, D]`, `[M, D]` → `[N, M]`.

    The distance's own `pairwise` where it has one; otherwise row by row, in O(M · D) memory beside the result.
    """
    own = getattr(distance, "pairwise", None)
    if own is not None:
        matrix: Tensor = own(a, b)
        return matrix
    result = a.new_empty(len(a), len(b))
    for row, anchor in enumerate(a):
        result[row] = distance(anchor[None], b)
    return result
