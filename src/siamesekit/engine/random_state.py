"""The global random generators: seeded for an epoch, and their state kept for a run that stops within one.

The library itself draws from torch's; a plugin may draw from Python's or NumPy's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from siamesekit.randomness import torch_seed

Result = TypeVar("Result")


def seed_all(seed: int, purpose: str) -> None:
    """Seed torch's generators, those of its devices included, Python's and NumPy's for one purpose of a run."""
    number = torch_seed(seed, purpose)
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002 - the global generator is what a plugin may draw from


def random_state() -> dict[str, Any]:
    """The generators' states, as tensors and plain values."""
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else [],  # else none has drawn
        "python": random.getstate(),
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss),
                  float(cached)],
    }  # fmt: skip


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put the generators' states back; those of devices that are not here are left out."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    random.setstate(state["python"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002


def drawn_by(work: Callable[[], Result]) -> tuple[Result, bool]:
    """What a piece of work gives, and whether it drew random numbers; the generators are then as they were."""
    before = random_state()
    try:
        result = work()
        return result, not _same(before, random_state())
    finally:
        restore_random_state(before)


@contextmanager
def drawing_from(seed: int | None = None) -> Iterator[None]:
    """Torch's generator of the CPU is seeded, where a seed is given, and afterwards as it was.

    `torch.random.fork_rng` takes all GPUs into use, and `torch.manual_seed` seeds them; this leaves them alone.
    """
    before = torch.get_rng_state()
    try:
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(before)


def _same(a: Any, b: Any) -> bool:
    """Whether two states are equal; of devices that have woken in between nothing is known."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return all(_same(a[key], b[key]) for key in a if key != "cuda" or a[key])
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
