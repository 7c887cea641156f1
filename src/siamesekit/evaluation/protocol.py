"""The protocol of an evaluation: which photos are queries, which are searched, and which pairs never meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import nearest


@dataclass(frozen=True)
class Protocol:
    """Who is searched among whom, as positions among N photos. No photo is ever compared with itself.

    Attributes:
        queries: int64 `[Q]`, the photos whose individual is asked for.
        gallery: int64 `[G]`, the photos that are searched, ascending.
        apart: int64 `[N]`, numbers of groups such as encounters: a query is not compared with the gallery photos of
            its own group. −1: the photo is in no group. None: there are no groups.
    """

    queries: Tensor
    gallery: Tensor
    apart: Tensor | None = None

    @classmethod
    def leave_one_out(cls, photos: int, apart: Tensor | None = None) -> Self:
        """Each of N photos is searched among all others; `apart` are int64 `[N]` groups, as above."""
        every = torch.arange(photos)
        return cls(every, every, apart)

    def relevant(self, labels: Tensor) -> Tensor:
        """R of each query, int64 `[Q]`: gallery photos of its individual that it is compared with.

        Args:
            labels: int64 `[N]`, labels of all photos.
        """
        individual = labels.cpu().unique(return_inverse=True)[1]
        together = self.group * (int(individual.max()) + 1) + individual[: len(self.group)]
        every = _count(individual[self.gallery], individual[self.queries])
        return every - _count(together[self.gallery], together[self.queries])

    @cached_property
    def skipped(self) -> Tensor:
        """Number of gallery photos that each query is not compared with, int64 `[Q]`."""
        return _count(self.group[self.gallery], self.group[self.queries])

    @cached_property
    def group(self) -> Tensor:
        """Group of each photo up to the last query or gallery photo, at least 0; a photo in none has its own number."""
        own = torch.arange(1 + max((int(part.max()) for part in (self.queries, self.gallery) if len(part)), default=-1))
        if self.apart is None:
            return own
        apart = self.apart[: len(own)]
        return torch.where(apart < 0, own, apart + len(own))


def _count(among: Tensor, wanted: Tensor) -> Tensor:
    """How often each wanted value occurs in `among`: int64, the shape of `wanted`."""
    ordered = among.sort().values
    return torch.searchsorted(ordered, wanted, right=True) - torch.searchsorted(ordered, wanted)


class Ranked(NamedTuple):
    """Ranked gallery photos of some queries, nearest first.

    Attributes:
        photo: int64 `[q, k]`, positions among the N photos.
        distance: `[q, k]`, their distances.
        valid: bool `[q, k]`, False for ranks that do not exist, which come last.
    """

    photo: Tensor
    distance: Tensor
    valid: Tensor


def ranked(embeddings: Tensor, protocol: Protocol, rows: Tensor, k: int, distance: Distance) -> Ranked:
    """Rank the gallery for some queries: exact, ties by position (`siamesekit.nearest`).

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        protocol: queries, gallery and groups.
        rows: int64 `[q]`, the queries, as positions in `protocol.queries`.
        k: number of ranks.
        distance: distance by which photos are ranked.
    """
    device = embeddings.device
    queries = protocol.queries[rows]
    if protocol.apart is None and len(protocol.gallery) == len(embeddings):
        found = nearest(embeddings[queries.to(device)], embeddings, k, distance, own=queries.to(device))
        return Ranked(found.index, found.distance, torch.ones_like(found.index, dtype=torch.bool))
    gallery = protocol.gallery.to(device)
    more = k + int(protocol.skipped[rows].max()) if len(rows) else k
    found = nearest(embeddings[queries.to(device)], embeddings[gallery], more, distance)
    index, group = gallery[found.index], protocol.group.to(device)
    valid = group[index] != group[queries.to(device), None]
    order = (~valid).to(torch.uint8).argsort(dim=1, stable=True)[:, :k]
    return Ranked(index.gather(1, order), found.distance.gather(1, order), valid.gather(1, order))
