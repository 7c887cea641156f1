"""When PyTorch's fused optimizer kernels can be used."""

from __future__ import annotations

from torch import nn


def fused_where_possible(parameters: list[nn.Parameter]) -> bool | None:
    """True where PyTorch's fused kernel takes these parameters: one pass over memory in place of several."""
    return True if all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters) else None
