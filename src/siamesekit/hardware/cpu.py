"""Native products of the CPU, as PyTorch reports them, and the threads of its operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[int]:
    """Context in which PyTorch's operations take one thread, for work beside threads of one's own.

    It is a setting of the process: operations that other threads begin meanwhile may take one thread, too.

    Yields:
        The number of threads before, to which it returns.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def multiplies_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively; otherwise bf16 is emulated and slower than fp32."""
    return _has("_is_avx512_bf16_supported") or has_amx()


def has_amx() -> bool:
    """Whether the CPU has AMX tiles, which multiply matrices."""
    return _has("_is_amx_tile_supported")


def _has(probe: str) -> bool:
    return bool(getattr(torch.cpu, probe, bool)())  # a missing private function counts as False
