"""When PyTorch's fused optimizer kernels can be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters of an optimizer, or PyTorch's parameter groups, `{"params": […], "lr": …}`."""


def fused_where_possible(params: Params) -> bool | None:
    """True if PyTorch's fused kernel, one pass over memory instead of several, takes these parameters; else None.

    Args:
        params: parameters or parameter groups; not an iterator, which would be exhausted.
    """
    return True if all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in _each(params)) else None


def _each(params: Params) -> Iterator[Tensor]:
    for entry in params:
        yield from entry["params"] if isinstance(entry, dict) else [entry]
