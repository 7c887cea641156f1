"""What every distance component is: a callable on rows; smaller means nearer. And the precision that it runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

RanksAs = Literal["euclidean", "cosine", "dot"]


class Distance(Protocol):
    """Distance between corresponding embeddings, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`.

    A component may also have `pairwise(a [N, D], b [M, D]) → [N, M]` where that is faster than broadcasting.

    And it may have `ranks_as`, by which the nearest are found fast (`siamesekit.retrieval`): "euclidean" where its
    values are a strictly growing function of Σ (a − b)², "cosine" where they are one of 1 − cos, "dot" where they are
    one of −Σ a·b, computed in the embeddings' float type from differences, from `cosine_similarity`, or from products.
    "Strictly" to the last bit or two: a function that levels out, such as 1 − exp(−d²), makes ties of what is none.
    """

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """The distance of `a` from `b`."""
        ...


def pairwise(distance: Distance, a: Tensor, b: Tensor) -> Tensor:
    """All distances between two sets of embeddings: `[N, D]`, `[M, D]` → `[N, M]`, in float32 or better.

    The distance's own `pairwise` where it has one; otherwise row by row, in O(M · D) memory beside the result.
    Neither autocast nor TF32 reaches in here (`full_precision`), and lower precision is raised to float32.

    >>> from siamesekit.distances.manhattan import manhattan
    >>> pairwise(manhattan, torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0], [5.0]]))
    tensor([[0., 1., 5.],
            [1., 0., 4.]])
    """
    a, b = at_least_float32(a), at_least_float32(b)
    with full_precision(a.device):
        own = getattr(distance, "pairwise", None)
        if own is not None:
            matrix: Tensor = own(a, b)
            return matrix
        result = a.new_empty(len(a), len(b))
        for row, anchor in enumerate(a):
            result[row] = distance(anchor[None], b)
        return result


def at_least_float32(values: Tensor) -> Tensor:
    """Any narrower type as float32, float32 and float64 as they are: `[...]` → `[...]`."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to length 1, a zero row to 0: `[..., D]` → `[..., D]`, x / max(|x|, 1e-8), in float32 or better.

    The bound is that of PyTorch's `cosine_similarity`.
    """
    return F.normalize(at_least_float32(rows), dim=-1, eps=1e-8)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside it float32 products are those of float32 (IEEE): neither autocast nor TF32 nor bfloat16 takes their place.

    Whichever way that was asked for, by `set_float32_matmul_precision`, `allow_tf32` or, from PyTorch 2.9 on,
    `fp32_precision`; it holds again afterwards. A backward pass runs after it, as it was asked for: a gradient is a
    product of its own, whose relative error is that of TF32, where |a|² + |b|² − 2ab of near embeddings would be all
    error.

    Args:
        device: where the products are taken.
    """
    found: list[Any] = [getattr(backend, "matmul", None) for backend in (torch.backends.cuda, torch.backends.mkldnn)]
    backends = [matmul for matmul in found if hasattr(matmul, "fp32_precision")]
    before = [matmul.fp32_precision for matmul in backends]
    legacy = _legacy_precision()
    lowered = legacy not in ("highest", None) or not {"none", "ieee"}.issuperset(before)
    if lowered:  # else nothing is touched: the settings are those of the whole process
        _set_precision(legacy and "highest", backends, ["ieee" for _ in backends])
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if lowered:
            _set_precision(legacy, backends, before)


def _legacy_precision() -> str | None:
    """What `set_float32_matmul_precision` was given; None where the newer settings contradict it."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set_precision(legacy: str | None, backends: list[Any], values: list[str]) -> None:
    if legacy is not None:
        torch.set_float32_matmul_precision(legacy)
    for matmul, value in zip(backends, values, strict=True):
        matmul.fp32_precision = "none"  # as `torch.backends.fp32_precision` says
        if matmul.fp32_precision != value:
            matmul.fp32_precision = value
