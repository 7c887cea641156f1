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
def all_left_as_found() -> Iterator[None]:
    """The global generators, torch's, Python's and NumPy's, are afterwards as they were, also after an error.

    A GPU that the block is the first to use has no state before; its generator stays as the block leaves it.
    """
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(before)


class OwnRandomness(TorchDispatchMode):
    """What this thread draws from torch inside comes from a generator of its own; the global one is not touched.

    It is for numbers that nobody will see, such as the first weights of a network whose weights are then loaded. To
    put a global generator's state back afterwards would undo what other threads have drawn meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation, with that generator where it draws on the CPU."""
        kwargs = kwargs or {}
        place = next((value.device for value in args if isinstance(value, torch.Tensor)), kwargs.get("device"))
        if torch.Tag.nondeterministic_seeded in func.tags and torch.device(place or "cpu").type == "cpu":
            func = _with_generator(func)
            if _takes_generator(func) and kwargs.get("generator") is None:
                kwargs = {**kwargs, "generator": self._generator}
        return func(*args, **kwargs)


def _with_generator(func: Any) -> Any:
    """The form of an operation that takes a generator; itself where it does, or there is none."""
    packet, name = func.overloadpacket, func._overloadname
    names = ["generator" if name == "default" else f"{name}_generator", name.replace("out", "generator_out"),
             name.replace("low_", "low_generator_")]  # fmt: skip
    forms = [func, *(getattr(packet, form) for form in names if form in packet.overloads())]
    return next(filter(_takes_generator, forms), func)


def _takes_generator(func: Any) -> bool:
    return any(argument.name == "generator" for argument in func._schema.arguments)


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
