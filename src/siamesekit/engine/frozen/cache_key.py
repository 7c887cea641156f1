"""The key under which the outputs of a frozen part are cached: a hash of all that they depend on."""

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

from siamesekit._version import __version__
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")


def key_of(encoder: Encoder, prefix: fx.GraphModule, compute: Compute, chunk: int) -> Callable[[Iterator[Tensor]], str]:
    """SHA-256 of all that the prefix's outputs depend on: its code and state, libraries, device, format, and pixels.

    Args:
        encoder: encoder from which the prefix was cut.
        prefix: the prefix before any folding.
        compute: device and number format.
        chunk: number of images encoded at a time.

    Returns:
        A function that takes chunks of pixels, uint8 `[n, 3, H, W]`, and returns the key in hex.
    """
    digest = sha256()

    def add(*values: Any) -> None:
        for value in values:
            content = str(value).encode()
            digest.update(len(content).to_bytes(8, "little") + content)

    device = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else ""
    add(
        compute.device.type,
        device,
        compute.name,
        chunk,
        torch.get_num_threads(),
        torch.backends.cpu.get_cpu_capability(),
        compute.products,
        sys.version_info,
        *(version(library) for library in LIBRARIES),
        __version__,
        _own_code(),
        prefix.code,
    )
    for node in prefix.graph.nodes:
        if node.op == "call_module":
            module = prefix.get_submodule(str(node.target))
            add(repr(module), _source(type(module)))
        elif node.op == "call_function":
            add(node.target, _source(node.target))
    state = {
        **dict(prefix.named_parameters()),
        **dict(prefix.named_buffers()),
        "mean": encoder.backbone.mean,
        "std": encoder.backbone.std,
    }
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
    """A hash of this library's source files on which the features depend."""
    root = Path(__file__).parents[2]
    components = root / "components"
    folders = (root / "engine", root / "hardware", components / "encoders", components / "adapted")
    files = sorted([*(file for folder in folders for file in folder.rglob("*.py")), root / "model.py"])
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _source(code: Any) -> str:
    """The source file of a module's class or a function; only its name if it belongs to torch or to this library."""
    if getattr(code, "__module__", "").partition(".")[0] in ("torch", "builtins", "_operator", "math", "siamesekit"):
        return getattr(code, "__qualname__", str(code))
    try:
        file = inspect.getsourcefile(code)
        return "" if file is None else Path(file).read_text(encoding="utf-8")
    except (TypeError, OSError):
        return getattr(code, "__qualname__", str(code))
