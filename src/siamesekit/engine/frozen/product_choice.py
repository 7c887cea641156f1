"""Whether 1 × 1 convolutions are computed as matrix products: measured once on each machine, and kept for each run.

Both ways round differently. So a run that continues keeps the way with which it began, whatever is measured then.
"""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from siamesekit.engine.frozen.folding import as_product
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.atomic import write_json
from siamesekit.files.cache_folder import cache_folder
from siamesekit.files.untrusted_json import read_json
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.cpu import has_amx

SHAPES = ((86, 728, 8), (32, 256, 28))
"""Images, channels and side of the maps that are convolved: of Xception's middle and of a ResNet-50's second stage."""
ROUNDS = 4
CLEARLY = 0.95
"""Products are chosen if they take at most this share of the time of convolutions."""
FOLDER = "products"
"""Folder in the user's cache folder, with a file for each processor, precision, number of threads and PyTorch."""


def with_product_choice(compute: Compute, began: Mapping[str, Any] | None = None) -> Compute:
    """Choose how 1 × 1 convolutions are computed.

    Args:
        compute: device and number format.
        began: the device in the manifest of the run that is continued; None for a new run.
    """
    if began is None or compute.device.type != "cpu":
        products = products_pay(compute)
    else:  # an older manifest does not say: then the processor decided
        products = bool(began.get("products", has_amx()))
    why = f"{compute.why}, 1 × 1 convolutions as matrix products" if products else compute.why
    return replace(compute, products=products, why=why)


def products_pay(compute: Compute) -> bool:
    """Whether 1 × 1 convolutions are faster as matrix products here.

    They are measured only on a CPU with AMX, the first time; what was measured is kept in the user's cache folder.
    Elsewhere the ways differ by a fifth at most, either way, and convolutions are used.
    """
    if compute.device.type != "cpu" or not has_amx():
        return False
    folder = cache_folder()
    file = None if folder is None else folder / FOLDER / f"{_key(compute)}.json"
    seconds = _read(file)
    if seconds is None:
        seconds = measured(compute)
        _keep(file, seconds)
    return seconds["products"] <= CLEARLY * seconds["convolutions"]


def measured(compute: Compute) -> dict[str, float]:
    """Seconds of forward and backward passes over all `SHAPES`, the fastest of several, by way."""
    ways: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"convolutions": F.conv2d, "products": as_product}
    total = dict.fromkeys(ways, 0.0)
    for images, channels, side in SHAPES:
        maps = torch.ones(images, channels, side, side, device=compute.device).requires_grad_()
        given = maps.contiguous(memory_format=torch.channels_last)
        weight = torch.ones(channels, channels, 1, 1, device=compute.device, requires_grad=True)
        bias = torch.zeros(channels, device=compute.device, requires_grad=True)
        fastest = dict.fromkeys(ways, math.inf)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start = time.perf_counter()
                with torch.enable_grad(), compute.autocast():
                    convolved = way(given, weight, bias)
                torch.autograd.grad(convolved, (given, weight, bias), torch.ones_like(convolved))
                fastest[name] = min(fastest[name], time.perf_counter() - start)
        total = {name: total[name] + fastest[name] for name in ways}
    return total


def _key(compute: Compute) -> str:
    machine = (platform.node(), platform.processor(), torch.backends.cpu.get_cpu_capability())
    content = repr((*machine, torch.get_num_threads(), torch.__version__, compute.name, SHAPES))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _read(file: Path | None) -> dict[str, float] | None:
    """What was measured before; None if nothing is kept that can be used."""
    if file is None or not file.is_file():
        return None
    try:
        kept = read_json(file)
        seconds = {name: float(kept[name]) for name in ("convolutions", "products")}
    except (ArtifactError, KeyError, TypeError, ValueError):
        return None
    return seconds if min(seconds.values()) > 0 else None


def _keep(file: Path | None, seconds: Mapping[str, float]) -> None:
    """Keep what was measured; where it cannot be kept, it is measured again the next time."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, dict(seconds))
    except (OSError, OutputError):
        return
