"""What every distance component is: a callable on rows; smaller means nearer."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

RanksAs = Literal["euclidean", "cosine"]


class Distance(Protocol):
    """Distance between corresponding embeddings, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`.

    A component may also have `pairwise(a [N, D], b [M, D]) → [N, M]` where that is faster than broadcasting.

    And it may have `ranks_as`, by which the nearest are found fast (`siamesekit.retrieval`): "euclidean" where its
    values are a strictly growing function of Σ (a − b)², "cosine" where they are one of 1 − cos, either computed in
    the embeddings' float type from differences or from `cosine_similarity`. "Strictly" to the last bit or two: a
    function that levels out, such as 1 − exp(−d²), makes ties of what is none.
    """

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """The distance of `a` from `b`."""
        ...


def pairwise(distance: Distance, a: Tensor, b: Tensor) -> Tensor:
    """All distances between two sets of embeddings: `[N, D]`, `[M, D]` → `[N, M]`, in float32 or better.

    The distance's own `pairwise` where it has one; otherwise row by row, in O(M · D) memory beside the result.
    Autocast does not reach in here, and lower precision is raised to float32.

    >>> from siamesekit.distances.manhattan import manhattan
    >>> pairwise(manhattan, torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0], [5.0]]))
    tensor([[0., 1., 5.],
            [1., 0., 4.]])
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = (rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows for rows in (a, b))
        own = getattr(distance, "pairwise", None)
        if own is not None:
            matrix: Tensor = own(a, b)
            return matrix
        result = a.new_empty(len(a), len(b))
        for row, anchor in enumerate(a):
            result[row] = distance(anchor[None], b)
        return result
