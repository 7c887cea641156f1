"""Views by a transform of single photos, which draws from the global generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from siamesekit.randomness import Streams


def photo_by_photo(images: Tensor, streams: Streams, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """A view of each photo, uint8 `[N, 3, S, S]` → `[N, 3, S, S]`; draws one number from each stream.

    The global CPU generators of torch, Python and NumPy are seeded for each photo from its stream and restored
    afterwards, so the view of a photo depends on its own stream alone.

    Args:
        images: the photos, which are not changed.
        streams: one stream per photo.
        transform: function from a copy of one photo, uint8 `[3, S, S]`, to its view, of the same shape and type.
    """
    views = torch.empty_like(images)
    with _generators_kept():
        for number, bits in enumerate(streams.bits().tolist()):
            seed = bits >> 1
            torch.default_generator.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the global generator is what a transform may draw from
            views[number] = transform(images[number].clone(memory_format=torch.contiguous_format))
    return views


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Restore the global CPU generators on exit."""
    of_python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
        torch.set_rng_state(of_torch)
