"""The photos of a large catalogue to which the model of identification is fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siamesekit.gallery.search import Gallery
from siamesekit.randomness import generator

PHOTOS, INDIVIDUALS = 100_000, 20_000
"""Most photos and individuals of a fit: it compares a thousand photos with all of them."""


def sample(gallery: Gallery, trained: NDArray[np.bool_]) -> tuple[Gallery, NDArray[np.int64]]:
    """A gallery with all photos of some individuals, and these, ascending; a small gallery is taken whole.

    Half of them are individuals that did not train the network, if there are so many; all others are drawn as well.

    Args:
        gallery: all photos of a catalogue.
        trained: which individuals trained the network, `[I]`.
    """
    count = len(trained)
    if len(gallery) <= PHOTOS and count <= INDIVIDUALS:
        return gallery, np.arange(count)
    rng = generator(0, "identification sample")
    strangers = rng.permutation(np.flatnonzero(~trained))[: INDIVIDUALS // 2]
    others = rng.permutation(np.setdiff1d(np.arange(count), strangers))
    order = np.concatenate([strangers, others])[:INDIVIDUALS]
    photos = np.cumsum(np.bincount(gallery.individuals, minlength=count)[order])
    chosen = np.zeros(count, np.bool_)
    chosen[order[: max(1, int(np.searchsorted(photos, PHOTOS, side="right")))]] = True
    part, left = gallery.part(np.flatnonzero(chosen[gallery.individuals]))
    return part, left
