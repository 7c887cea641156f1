"""Device, number format and memory layout of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from siamesekit.errors import UserError
from siamesekit.hardware.cpu import multiplies_bf16
from siamesekit.hardware.float32 import float32_convolutions

if TYPE_CHECKING:
    from siamesekit.hardware.ranks import Ranks

DeviceChoice = Literal["auto", "cpu", "cuda"]
PrecisionChoice = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Compute:
    """Device and number format of the encoder; weights stay float32, images are channels-last.

    Attributes:
        device: torch device.
        bf16: whether products run in bfloat16, under autocast.
        why: reason of the choice.
        products: whether a run computes 1 × 1 convolutions as matrix products.
        ranks: the processes that compute the run together, of which this one leads; None if it computes alone.
    """

    device: torch.device
    bf16: bool
    why: str
    products: bool = False
    ranks: Ranks | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """`bf16` or `fp32`."""
        return "bf16" if self.bf16 else "fp32"

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Context for calls of the encoder."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            yield

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Context in which float32 convolutions on a GPU are exact: `float32_convolutions`.

        Matrix products are float32 unless the program has allowed less.
        """
        if self.bf16 or self.device.type != "cuda":
            yield
            return
        with float32_convolutions():
            yield


def choose_compute(device: DeviceChoice = "auto", precision: PrecisionChoice = "auto") -> Compute:
    """Choose device and precision on this machine.

    `auto` chooses a CUDA device if there is one, and bf16 if the hardware multiplies it natively: AMX or AVX512-BF16 on
    a CPU, compute capability 8.0 on a GPU.

    Raises:
        UserError: CUDA is requested but not available.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu")
    chosen = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    native = torch.cuda.get_device_capability(chosen) >= (8, 0) if chosen.type == "cuda" else multiplies_bf16()
    if precision == "auto":
        return Compute(chosen, native, "native bf16 products" if native else "no native bf16 products")
    return Compute(chosen, precision == "bf16", f"--precision {precision}")


SET_FOR_DETERMINISM = ("CUBLAS_WORKSPACE_CONFIG", "TORCHINDUCTOR_CACHE_DIR")
"""Variables of the environment that are set: the first by `deterministic`, the second by PyTorch's compiler, which its
switch imports."""


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """Context that allows only deterministic kernels, if `wanted`; it restores torch's settings afterwards.

    On a CPU, runs are reproducible without it. On a GPU it costs speed, and an operation without a deterministic kernel
    is an error.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    unset = [name for name in SET_FOR_DETERMINISM if name not in os.environ]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses cuBLAS
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
        for name in unset:
            os.environ.pop(name, None)
