"""Native products of the CPU, as PyTorch reports them."""

from __future__ import annotations

import torch


def multiplies_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively; otherwise bf16 is emulated and slower than fp32."""
    return _has("_is_avx512_bf16_supported") or has_amx()


def has_amx() -> bool:
    """Whether the CPU has AMX tiles, which multiply matrices."""
    return _has("_is_amx_tile_supported")


def _has(probe: str) -> bool:
    return bool(getattr(torch.cpu, probe, bool)())  # a missing private function counts as False
