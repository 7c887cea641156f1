"""What every distance component is: a callable on rows; smaller means nearer. And the precision that it runs in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from siamesekit.nested import component_from
from siamesekit.registry import DISTANCES

RanksAs = Literal["euclidean", "cosine", "dot"]


class Distance(Protocol):
    """Distance between corresponding embeddings, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`.

    A component may also have `pairwise(a [N, D], b [M, D]) → [N, M]` where that is faster than broadcasting.

    And it may have `ranks_as`, by which the nearest are found fast (`siamesekit.retrieval`): "euclidean" where its
    values are a strictly growing function of Σ (a − b)², "cosine" where they are one of 1 − cos, "dot" where they are
    one of −Σ a·b, computed in the embeddings' float type from differences, from `cosine_similarity`, or from products.
    "Strictly" to the last bit or two: a function that levels out, such as 1 − exp(−d²), makes ties of what is none.

    And it may have `range` and `unit_range`, the least and the greatest value that it has, of any embeddings and of
    embeddings of length 1, by which margins are checked: (0, ∞) and (0, 2) for `euclidean`.
    """

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """The distance of `a` from `b`."""
        ...


DistanceLike = Distance | str | Mapping[str, Any]
"""A distance, its name, or a table with its name and options."""


def as_distance(distance: DistanceLike) -> Distance:
    """The distance itself, or what its name or table stands for.

    Raises:
        ComponentError: it is no distance, or there is none of that name.

    >>> as_distance("cosine")
    Cosine()
    """
    found: Distance = component_from(distance, DISTANCES, "distance")
    return found


def range_of(distance: Distance, unit_length: bool = False) -> tuple[float, float] | None:
    """The least and the greatest value of a distance, as it says; None where it does not say.

    Args:
        distance: any.
        unit_length: whether the embeddings have length 1.
    """
    found: tuple[float, float] | None = getattr(distance, "range", None)
    return getattr(distance, "unit_range", found) if unit_length else found


def pairwise(distance: DistanceLike, a: Tensor, b: Tensor) -> Tensor:
    """All distances between two sets of embeddings: `[N, D]`, `[M, D]` → `[N, M]`, in float32 or better.

    The distance's own `pairwise` where it has one; otherwise row by row, in O(M · D) memory beside the result.
    Neither autocast nor TF32 reaches in here (`full_precision`), and lower precision is raised to float32.

    >>> from siamesekit.distances.manhattan import manhattan
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


def at_least_float32(values: Tensor) -> Tensor:
    """Any narrower type as float32, float32 and float64 as they are: `[...]` → `[...]`."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def in_finite_order(distances: Tensor) -> Tensor:
    """Finite numbers in the order of distances: `[...]` → `[...]`, the same where all are finite, else float64 ranks.

    Equal distances stay equal. NaN ranks after infinity, and all NaN alike. So infinity can stand for what is left out.

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
    """Rows scaled to length 1, a zero row to 0: `[..., D]` → `[..., D]`, x / max(|x|, 1e-8), in float32 or better.

    The bound is that of PyTorch's `cosine_similarity`.
    """
    return F.normalize(at_least_float32(rows), dim=-1, eps=1e-8)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside it float32 products are those of float32 (IEEE): neither autocast nor TF32 nor bfloat16 takes their place.

    Whichever way that was asked for: by `autocast`, `set_float32_matmul_precision`, `allow_tf32` or, from PyTorch 2.9
    on, `fp32_precision`. These settings are the whole process's and stay as they are: where they ask for less,
    products are taken in float64 and rounded to float32, in this thread alone. So are their gradients.

    Args:
        device: where the products are taken.
    """
    with torch.autocast(device.type, enabled=False), _ProductsInFloat64() if _lowered() else nullcontext():
        yield


class _ProductsInFloat64(TorchFunctionMode):
    """Matrix products of float32 tensors are taken in float64 and rounded."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, on float64 tensors where it is one of `PRODUCTS`."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") not in PRODUCTS:
            return func(*args, **kwargs)
        out = kwargs.get("out")
        with torch._C.DisableTorchFunction():
            given = {name: _in_float64(value) for name, value in kwargs.items() if name != "out"}
            result = func(*map(_in_float64, args), **given)
            if result.dtype == torch.float64 and not _any_float64((args, kwargs)):
                result = result.to(torch.float32)
            return result if out is None else out.copy_(result)


PRODUCTS = {
    "__matmul__", "__rmatmul__", "addbmm", "addmm", "addmv", "addr", "baddbmm", "bilinear", "bmm", "cdist",
    "chain_matmul", "dot", "einsum", "ger", "inner", "linear", "linalg_matmul", "linalg_multi_dot", "linalg_vecdot",
    "matmul", "mm", "mv", "outer", "tensordot", "vdot",
}  # fmt: skip
"""PyTorch's functions and methods that multiply matrices, or vectors."""


def _in_float64(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.dtype == torch.float32 else value
    if isinstance(value, list | tuple):
        return type(value)(map(_in_float64, value))
    return value


def _any_float64(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.dtype == torch.float64
    if isinstance(value, dict):
        return any(map(_any_float64, value.values()))
    return isinstance(value, list | tuple) and any(map(_any_float64, value))


def _lowered() -> bool:
    """Whether PyTorch has been asked for float32 products of less than float32, in any of its ways."""
    found: list[Any] = [getattr(backend, "matmul", None) for backend in (torch.backends.cuda, torch.backends.mkldnn)]
    asked = {matmul.fp32_precision for matmul in found if hasattr(matmul, "fp32_precision")}
    try:
        legacy = torch.get_float32_matmul_precision()
    except RuntimeError:  # the newer settings contradict it
        legacy = "highest"
    return legacy != "highest" or not asked <= {"none", "ieee"}
