"""Device, number format and memory layout of a run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from siamesekit.errors import UserError
from siamesekit.processor import multiplies_bf16

DeviceChoice = Literal["auto", "cpu", "cuda"]
PrecisionChoice = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Precision:
    """Where and in which format the encoder runs; weights stay float32, images are channels-last.

    Attributes:
        device: the torch device.
        bf16: whether products run in bfloat16, under autocast.
        why: what decided it.
    """

    device: torch.device
    bf16: bool
    why: str

    @property
    def name(self) -> str:
        """`bf16` or `fp32`."""
        return "bf16" if self.bf16 else "fp32"

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The context in which the encoder is to be called."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            yield

    @contextmanager
    def exact(self) -> Iterator[None]:
        """The context in which what runs in float32 on a GPU is float32: cuDNN's convolutions take TF32 by themselves.

        cuDNN has one setting for the whole process and none for a call, so on a GPU, and only there, it is changed for
        as long as any thread is in this context: from the first one's entry to the last one's leaving, when what torch
        was set to comes back. Convolutions of other threads are float32 meanwhile. Products of matrices are float32
        unless someone has asked for less.
        """
        if self.bf16 or self.device.type != "cuda":
            yield
            return
        _TF32.forbid()
        try:
            yield
        finally:
            _TF32.allow_again()


class _ConvolutionsInTF32:
    """cuDNN's permission to multiply in TF32, taken away while anyone needs it gone."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nobody needs it gone, as in a forked child, where no other thread is."""
        self._lock = threading.Lock()
        self._inside = 0
        self._before: tuple[Any, str, Any] | None = None

    def forbid(self) -> None:
        """Whoever uses torch's older settings, or its newer ones, finds them consistent."""
        with self._lock:
            if self._inside == 0:
                cudnn: Any = torch.backends.cudnn
                newer = _new_settings()
                place, name = (cudnn.conv, "fp32_precision") if newer else (cudnn, "allow_tf32")
                self._before = place, name, getattr(place, name)
                setattr(place, name, "ieee" if newer else False)
            self._inside += 1

    def allow_again(self) -> None:
        """The last one that leaves puts back what was set before."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before is not None:
                setattr(*self._before)


_TF32 = _ConvolutionsInTF32()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TF32.begin)


def _new_settings() -> bool:
    """Whether someone has used the settings of PyTorch 2.9, of which the older ones know nothing, and raise."""
    backends: Any = torch.backends
    if any(getattr(each, "fp32_precision", "none") != "none" for each in (backends, backends.cudnn)):
        return True
    try:
        return not isinstance(backends.cudnn.allow_tf32, bool)
    except RuntimeError:
        return True


def choose_precision(device: DeviceChoice = "auto", precision: PrecisionChoice = "auto") -> Precision:
    """Resolve what the user asked for on this machine.

    `auto` takes a CUDA device where there is one, and bf16 where the hardware multiplies it natively: AMX or
    AVX512-BF16 on a CPU, compute capability 8.0 on a GPU.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu")
    chosen = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    native = torch.cuda.get_device_capability(chosen) >= (8, 0) if chosen.type == "cuda" else multiplies_bf16()
    if precision == "auto":
        return Precision(chosen, native, "native bf16 products" if native else "no native bf16 products")
    return Precision(chosen, precision == "bf16", f"--precision {precision}")


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """Only kernels whose result is the same every time, where `wanted`; what torch was set to comes back afterwards.

    On a CPU a run repeats itself without it. On a GPU it costs speed, and a step that has no such kernel is an error.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses cuBLAS
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
        if workspace is None:
            os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
