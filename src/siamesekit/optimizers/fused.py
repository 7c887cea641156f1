"""When PyTorch's fused optimizer kernels can be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""What an optimizer moves: parameters, or PyTorch's groups of them, `{"params": […], "lr": …}`."""


def fused_where_possible(params: Params) -> bool | None:
    """True where PyTorch's fused kernel takes these parameters: one pass over memory in place of several.

    Args:
        params: parameters or groups of them; not an iterator, which it would use up.
    """
    return True if all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in _each(params)) else None


def _each(params: Params) -> Iterator[Tensor]:
    for entry in params:
        yield from entry["params"] if isinstance(entry, dict) else [entry]
