"""The nearest photos of each photo of a gallery, found when they are first asked for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import nearest
from siamesekit.evaluation.intervals import Floats

NONE = -1
"""In place of a neighbour that does not exist."""


class NeighbourLists:
    """The nearest photos of each of N photos, in memory N · depth; never all distances.

    Args:
        gallery: embeddings `[N, D]`.
        distance: distance between photos.
        depth: number of neighbours that are kept of each photo.
    """

    def __init__(self, gallery: Tensor, distance: Distance, depth: int) -> None:
        self.gallery, self.distance = gallery, distance
        self.depth = min(depth, max(0, len(gallery) - 1))
        self._index = np.full((len(gallery), self.depth), NONE, np.int64)
        self._distance = np.full((len(gallery), self.depth), np.inf)
        self._known = np.zeros(len(gallery), np.bool_)

    def without(self, rows: NDArray[np.int64], left_out: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], Floats]:
        """The k nearest of some photos, `[m, k]` with their distances, without the photo itself and those left out.

        Missing neighbours are `NONE` at distance ∞, after all others.

        Args:
            rows: the m photos, by index.
            left_out: photos that do not count, by index.
            k: number of neighbours.
        """
        self._find(rows)
        index, far = self._index[rows], self._distance[rows]
        if len(left_out):
            gone = np.isin(index, left_out)
            order = np.argsort(gone, axis=1, kind="stable")
            index = np.take_along_axis(np.where(gone, NONE, index), order, 1)
            far = np.take_along_axis(np.where(gone, np.inf, far), order, 1)
        found, distances = np.full((len(rows), k), NONE, np.int64), np.full((len(rows), k), np.inf)
        found[:, : self.depth], distances[:, : self.depth] = index[:, :k], far[:, :k]
        there = len(self.gallery) - 1 - np.where(np.isin(rows, left_out), len(left_out) - 1, len(left_out))
        short = np.flatnonzero((found != NONE).sum(1) < np.minimum(k, there))
        if len(short):
            self._deeper(rows[short], left_out, found, distances, short)
        return found, distances

    def _find(self, rows: NDArray[np.int64]) -> None:
        """Find the neighbours of photos for which they are not known yet."""
        new = np.unique(rows[~self._known[rows]])
        if len(new) and self.depth:
            own = torch.from_numpy(new)
            found = nearest(self.gallery[own], self.gallery, self.depth, self.distance, own)
            self._index[new], self._distance[new] = found.index.numpy(), found.distance.double().numpy()
        self._known[new] = True

    def _deeper(
        self,
        rows: NDArray[np.int64],
        left_out: NDArray[np.int64],
        found: NDArray[np.int64],
        distances: Floats,
        places: NDArray[np.int64],
    ) -> None:
        """Find the neighbours of photos whose lists are too short without those left out, into `places`."""
        kept = np.setdiff1d(np.arange(len(self.gallery)), left_out)
        k = found.shape[1]
        near = nearest(self.gallery[torch.from_numpy(rows)], self.gallery[torch.from_numpy(kept)], k + 1, self.distance)
        for place, row, index, far in zip(
            places, rows, near.index.numpy(), near.distance.double().numpy(), strict=True
        ):
            others = kept[index] != row
            some = kept[index][others][:k]
            found[place, : len(some)], distances[place, : len(some)] = some, far[others][:k]
