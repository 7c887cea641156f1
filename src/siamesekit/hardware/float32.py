"""Full float32 precision: matrix products and convolutions without TF32 or bfloat16."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def at_least_float32(values: Tensor) -> Tensor:
    """Convert narrower types to float32; float32 and float64 stay: `[...]` → `[...]`."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Context in which float32 products have full float32 precision (IEEE), without autocast, TF32 or bfloat16.

    It overrides `autocast`, `set_float32_matmul_precision`, `allow_tf32` and, from PyTorch 2.9 on, `fp32_precision`.
    The last three are settings of the whole process and are not changed: if they allow less precision, products and
    their gradients are computed in float64 and rounded to float32, in this thread alone.

    Args:
        device: device of the products.
    """
    with torch.autocast(device.type, enabled=False), _ProductsInFloat64() if _lowered() else nullcontext():
        yield


class _ProductsInFloat64(TorchFunctionMode):
    """Compute matrix products of float32 tensors in float64 and round them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, on float64 tensors if it is one of `PRODUCTS`."""
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
    """Whether any setting of PyTorch allows float32 products of lower precision."""
    found: list[Any] = [getattr(backend, "matmul", None) for backend in (torch.backends.cuda, torch.backends.mkldnn)]
    asked = {matmul.fp32_precision for matmul in found if hasattr(matmul, "fp32_precision")}
    try:
        legacy = torch.get_float32_matmul_precision()
    except RuntimeError:  # the newer settings contradict it
        legacy = "highest"
    return legacy != "highest" or not asked <= {"none", "ieee"}


@contextmanager
def float32_convolutions() -> Iterator[None]:
    """Context in which cuDNN computes float32 convolutions in float32; its default is TF32.

    cuDNN has one setting for the whole process and none per call. The setting is changed when the first thread enters
    this context and restored when the last thread leaves it; meanwhile the convolutions of other threads are float32
    too.
    """
    _TF32.forbid()
    try:
        yield
    finally:
        _TF32.allow_again()


class _ConvolutionsInTF32:
    """cuDNN's permission to use TF32, withdrawn while at least one thread forbids it."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start without any thread that forbids TF32, also in a forked child, which has no other threads."""
        self._lock = threading.Lock()
        self._inside = 0
        self._before: tuple[Any, str, Any] | None = None

    def forbid(self) -> None:
        """Forbid TF32 for one more thread, through the old or the new settings of torch, whichever are in use."""
        with self._lock:
            if self._inside == 0:
                cudnn: Any = torch.backends.cudnn
                newer = _new_settings()
                place, name = (cudnn.conv, "fp32_precision") if newer else (cudnn, "allow_tf32")
                self._before = place, name, getattr(place, name)
                setattr(place, name, "ieee" if newer else False)
            self._inside += 1

    def allow_again(self) -> None:
        """Stop forbidding TF32 for one thread; the last thread restores the earlier setting."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before is not None:
                setattr(*self._before)


_TF32 = _ConvolutionsInTF32()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TF32.begin)


def _new_settings() -> bool:
    """Whether the new settings of PyTorch 2.9 are in use; the old ones then raise errors."""
    backends: Any = torch.backends
    if any(getattr(each, "fp32_precision", "none") != "none" for each in (backends, backends.cudnn)):
        return True
    try:
        return not isinstance(backends.cudnn.allow_tf32, bool)
    except RuntimeError:
        return True
