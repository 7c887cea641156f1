"""Tensors without values or memory, on PyTorch's meta device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

DRAWS = (Tensor.normal_, Tensor.uniform_)
"""Methods that fill a tensor with random values, beside the functions of `torch.nn.init`."""

FEW = 1000
"""Numbers of `torch.linspace` that are worth their memory."""


@contextmanager
def without_values() -> Iterator[None]:
    """Context in which new tensors have no values: networks are built at once and need no memory.

    Their initial weights are not even drawn, and `torch.linspace`, by which networks plan their depth, gives numbers:
    on the meta device, PyTorch does both by Python code that brings in its compiler.
    """
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    """Leave tensors without values as they are where random ones are drawn."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, unless it draws into a tensor of the meta device."""
        kwargs = kwargs or {}
        if func in DRAWS or getattr(func, "__module__", "") == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        if func is torch.linspace and len(args) == 3 and args[2] <= FEW:
            kwargs = {"device": "cpu", **kwargs}
        return func(*args, **kwargs)
