"""Samplers `pml/*`: the samplers of pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.adapted.pml.bridge import construct, seeded_by
from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch, batch_of
from siamesekit.components.tuples import Triplets
from siamesekit.errors import ComponentError
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.registry.construction import member_repr


class PmlSampler:
    """A sampler of pytorch-metric-learning, rebuilt for each epoch, so that an epoch depends on seed and epoch alone.

    A photo that is drawn twice for a batch is in it once.

    Args:
        model: name without `pml/`.
        options: options of the sampler.
        labels: int64 `[N]`, or `[N, 2]` with the groups.
        batch_size: number of photos or triplets per batch.
        seed: seed of the run.
    """

    def __init__(
        self, model: str, options: dict[str, Any], labels: NDArray[np.int64], batch_size: int, seed: int
    ) -> None:
        self.model, self.options = model, options
        self.labels, self.batch_size, self.seed = labels, batch_size, seed
        self._length = len(list(self._chunks(1)))

    __repr__ = member_repr

    def __len__(self) -> int:
        return self._length

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch."""
        for chunk in self._chunks(epoch):
            if self.model == "fixed-set-of-triplets":
                yield batch_of(Triplets(*torch.tensor(chunk).view(-1, 3).T.contiguous()))
            else:
                yield Batch(torch.tensor(chunk).unique(), None)

    def _chunks(self, epoch: int) -> list[list[int]]:
        """The photos of each batch, in the sampler's order."""
        fixed = self.model == "fixed-set-of-triplets"
        options = dict(self.options)
        if self.model == "m-per-class":
            options["length_before_new_iter"] = max(len(self.labels), self.batch_size)
        with seeded_by(self._random("set" if fixed else f"epoch {epoch}")):
            sampler = construct("samplers", self.model, options, labels=self.labels, batch_size=self.batch_size)
        with seeded_by(self._random(f"epoch {epoch}")):
            drawn = [[int(photo) for photo in batch] if isinstance(batch, list) else int(batch) for batch in sampler]
        if drawn and isinstance(drawn[0], list):
            return drawn  # type: ignore[return-value]
        step = self.batch_size * (3 if fixed else 1)
        return [drawn[start : start + step] for start in range(0, len(drawn), step)]  # type: ignore[misc]

    def _random(self, purpose: str) -> np.random.RandomState:
        return np.random.RandomState(generator(self.seed, f"pml {purpose}").integers(2**31))


@SAMPLERS.register("pml/*", members="siamesekit.registry.adapted.pml:samplers")
def pml_sampler(
    *,
    model: str,
    options: dict[str, Any],
    labels: Labels,
    groups: Labels | None = None,
    batch_size: int,
    seed: int,
) -> PmlSampler:
    """The samplers of pytorch-metric-learning by name: batches of photos, indices `[N]`.

    `batch_size` counts photos, or triplets for `fixed-set-of-triplets`. An epoch of `m-per-class` has as many photos as
    the training set, rounded down to whole batches. `hierarchical` needs a reader that gives groups.
    """
    labels = label_array(labels)
    if model == "hierarchical":
        if groups is None:
            raise ComponentError("sampler 'pml/hierarchical' needs groups of photos, which the reader does not give")
        labels = np.stack([labels, label_array(groups)], axis=1)
    return PmlSampler(model, options, labels, batch_size, seed)
