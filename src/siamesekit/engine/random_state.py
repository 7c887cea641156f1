"""The global random generators: seeded for each epoch, and saved for a run that stops within one.

The library itself draws from torch's generator; a plugin may draw from Python's or NumPy's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore the generators' states; those of missing devices are left out."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    random.setstate(state["python"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002


def drawn_by(work: Callable[[], Result]) -> tuple[Result, bool]:
    """The result of `work`, and whether it drew random numbers; the generators are restored."""
    before = random_state()
    try:
        result = work()
        return result, not _same(before, random_state())
    finally:
        restore_random_state(before)


@contextmanager
def all_left_as_found() -> Iterator[None]:
    """Restore the global generators of torch, Python and NumPy after the block, also after an error.

    If the block is the first to use a GPU, that GPU's generator had no state before and stays as the block leaves it.
    """
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(before)


class OwnRandomness(TorchDispatchMode):
    """Inside, this thread draws torch's random numbers from a private generator, not from the global one.

    It serves for numbers that are discarded, such as the initial weights of a network before its weights are loaded.
    Restoring the global generator's state instead would undo what other threads have drawn meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: this mode need not be hidden from PyTorch's compiler, which would be imported for that."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation, with the private generator if it draws on the CPU."""
        kwargs = kwargs or {}
        place = next((value.device for value in args if isinstance(value, torch.Tensor)), kwargs.get("device"))
        if torch.Tag.nondeterministic_seeded in func.tags and torch.device(place or "cpu").type == "cpu":
            func = _with_generator(func)
            if _takes_generator(func) and kwargs.get("generator") is None:
                kwargs = {**kwargs, "generator": self._generator}
        return func(*args, **kwargs)


def _with_generator(func: Any) -> Any:
    """The overload of an operation that takes a generator; the operation itself if no overload does."""
    packet, name = func.overloadpacket, func._overloadname
    names = [
        "generator" if name == "default" else f"{name}_generator",
        name.replace("out", "generator_out"),
        name.replace("low_", "low_generator_"),
    ]
    forms = [func, *(getattr(packet, form) for form in names if form in packet.overloads())]
    return next(filter(_takes_generator, forms), func)


def _takes_generator(func: Any) -> bool:
    return any(argument.name == "generator" for argument in func._schema.arguments)


@contextmanager
def drawing_from(seed: int | None = None) -> Iterator[None]:
    """Seed torch's CPU generator for the block, if a seed is given, and restore it afterwards.

    `torch.random.fork_rng` initializes all GPUs, and `torch.manual_seed` seeds them; this function leaves them alone.
    """
    before = torch.get_rng_state()
    try:
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(before)


def _same(a: Any, b: Any) -> bool:
    """Whether two states are equal, apart from devices that were initialized in between."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return all(_same(a[key], b[key]) for key in a if key != "cuda" or a[key])
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
