"""Validation of a plugin's sampler: each batch is checked, and errors name the plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from siamesekit.components.samplers.batch import Batch, Sampler
from siamesekit.components.tuples import Triplets
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming

_END: Any = object()


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginSampler:
    """Wrap the result of a plugin's component as a sampler.

    Args:
        made: the result, which must have `epoch(epoch)` and a length.
        component: the component that built it.
        runtime: runtime values; `labels` is int64 `[N]`, for N training photos.

    Raises:
        PluginError: the result is not a sampler.
    """
    for method in ("epoch", "__len__"):
        if isinstance(made, type) or not hasattr(made, method):
            raise PluginError(
                f"{called(component)} gives {given(made)} without {method}; expected a sampler: "
                "epoch(epoch) gives its batches, and len(…) is their number"
            )
    return PluginSampler(made, component, len(runtime["labels"]) if "labels" in runtime else None)


class PluginSampler:
    """A plugin's sampler over N photos. Other methods, such as `mine`, are forwarded to the plugin.

    Args:
        sampler: the sampler of the plugin.
        component: the component that built it.
        photos: N, or None if unknown.
    """

    def __init__(self, sampler: Sampler, component: Component, photos: int | None) -> None:
        self.sampler = sampler
        self.component = component
        self.photos = photos

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "sampler":  # during copying, the sampler is not set yet
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def __repr__(self) -> str:
        return repr(self.sampler)

    def __len__(self) -> int:
        with naming(self.component, "__len__"):
            return len(self.sampler)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1.

        Raises:
            PluginError: the plugin fails, or a batch is invalid.
        """
        with naming(self.component, "epoch"):
            batches = iter(self.sampler.epoch(epoch))
        number = 0
        while True:
            with naming(self.component, "epoch"):
                batch = next(batches, _END)
            if batch is _END:
                break
            number += 1
            if problem := _problem(batch, self.photos):
                raise PluginError(f"{called(self.component)} gives as batch {number} of epoch {epoch} {problem}")
            yield batch
        if number != len(self) or number == 0:
            raise PluginError(
                f"{called(self.component)} gives {number} batches in epoch {epoch}, but its length is "
                f"{len(self)}; expected the same number, at least 1"
            )


def refuse_what_changes(sampler: PluginSampler, batches: list[Batch], again: list[Batch]) -> None:
    """Refuse a sampler that gives different batches when the same epoch is repeated.

    Args:
        sampler: a plugin's sampler.
        batches: batches of an epoch.
        again: batches of the same epoch, repeated.

    Raises:
        PluginError: the batches differ.
    """
    if len(batches) != len(again) or not all(map(_equal, batches, again)):
        raise PluginError(
            f"{called(sampler.component)} gives different batches when the same epoch is repeated, "
            "so a run could not be resumed: draw them from a generator seeded by seed and epoch alone, "
            "numpy.random.default_rng([seed, epoch])"
        )


def _equal(a: Batch, b: Batch) -> bool:
    if (a.triplets is None) != (b.triplets is None):
        return False
    pairs = [(a.images, b.images), *zip(a.triplets or (), b.triplets or (), strict=True)]
    return all(torch.equal(one, other) for one, other in pairs)


def _problem(batch: Any, photos: int | None) -> str:
    """What is wrong with a batch, as a message; empty if it is valid."""
    if not isinstance(batch, Batch):
        return f"{given(batch)}; expected Batch(images, triplets)"
    problem = _problem_of_indices(batch.images, photos, "images", "training photos")
    if problem:
        return problem
    if not len(batch.images):
        return "one without images; expected at least one"
    if len(batch.images.unique()) < len(batch.images):
        return "one that has an image twice; expected distinct indices into the training photos"
    if batch.triplets is None:
        return ""
    if not isinstance(batch.triplets, Triplets):
        return f"one whose triplets are {given(batch.triplets)}; expected Triplets(anchor, positive, negative) or None"
    for name, index in zip(Triplets._fields, batch.triplets, strict=True):
        problem = _problem_of_indices(index, len(batch.images), f"triplets' {name}s", "batch's own images")
        if problem:
            return problem
    lengths = {len(index) for index in batch.triplets}
    return "" if len(lengths) == 1 else "one whose triplets have parts of different lengths; expected one length"


def _problem_of_indices(index: Any, count: int | None, what: str, of: str) -> str:
    if not isinstance(index, Tensor) or index.dtype != torch.int64 or index.ndim != 1:
        return f"one whose {what} are {given(index)}; expected a tensor int64 [n], indices into the {of}"
    if len(index) and (index.min() < 0 or (count is not None and index.max() >= count)):
        return (
            f"one whose {what} go from {int(index.min())} to {int(index.max())}; expected indices into the {of}, "
            f"0 … {'' if count is None else count - 1}"
        )
    return ""
