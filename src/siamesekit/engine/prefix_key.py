"""What decides the outputs of a frozen part: the key under which they are kept for the next run."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

import siamesekit
from siamesekit.engine.folding import products_pay
from siamesekit.engine.precision import Precision
from siamesekit.model import Encoder

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")


def key_of(
    encoder: Encoder, prefix: fx.GraphModule, precision: Precision, chunk: int
) -> Callable[[Iterator[Tensor]], str]:
    """SHA-256 over all that decides the prefix's outputs: its code and state, libraries, device, format, and pixels.

    Args:
        encoder: whose backbone the prefix is of.
        prefix: as it was cut, before anything is folded.
        precision: device and number format.
        chunk: images encoded at a time.

    Returns:
        What gives the key, in hex, for pixels uint8 `[n, 3, H, W]`, chunk by chunk.
    """
    digest = sha256()

    def add(*values: Any) -> None:
        for value in values:
            content = str(value).encode()
            digest.update(len(content).to_bytes(8, "little") + content)

    device = torch.cuda.get_device_name(precision.device) if precision.device.type == "cuda" else ""
    add(precision.device.type, device, precision.name, chunk, torch.get_num_threads(),
        torch.backends.cpu.get_cpu_capability(), products_pay(precision.device), sys.version_info,
        *(version(library) for library in LIBRARIES), siamesekit.__version__, _own_code(), prefix.code)  # fmt: skip
    for node in prefix.graph.nodes:
        if node.op == "call_module":
            module = prefix.get_submodule(str(node.target))
            add(repr(module), _source(type(module)))
        elif node.op == "call_function":
            add(node.target, _source(node.target))
    state = {**dict(prefix.named_parameters()), **dict(prefix.named_buffers()),
             "mean": encoder.backbone.mean, "std": encoder.backbone.std}  # fmt: skip
    for name, value in sorted(state.items()):
        add(name, value.dtype, tuple(value.shape))
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)

    def finish(pixels: Iterator[Tensor]) -> str:
        for chunk in pixels:
            add(tuple(chunk.shape))
            digest.update(chunk.permute(0, 2, 3, 1).contiguous().numpy().data)
        return digest.hexdigest()

    return finish


@cache
def _own_code() -> str:
    """The content of this library's files that have a part in it."""
    root = Path(siamesekit.__file__).parent
    files = sorted([*(root / "engine").glob("*.py"), *(root / "encoders").glob("*.py"), root / "model.py"])
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _source(code: Any) -> str:
    """The file in which a module's class or a function is written; torch's own is known by its version."""
    if getattr(code, "__module__", "").partition(".")[0] in ("torch", "builtins", "_operator", "math"):
        return getattr(code, "__qualname__", str(code))
    try:
        file = inspect.getsourcefile(code)
        return "" if file is None else Path(file).read_text(encoding="utf-8")
    except (TypeError, OSError):
        return getattr(code, "__qualname__", str(code))
