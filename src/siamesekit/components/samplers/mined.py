"""Sampler `mined`: triplets with near negatives from all training photos, by their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from siamesekit.components.distances.distance import Distance, DistanceLike, as_distance
from siamesekit.components.distances.nearest import nearest
from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch, batches_of_triplets, triplets_in_epoch
from siamesekit.components.samplers.triplets import random_triplets
from siamesekit.components.tuples import Triplets, by_individual
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.options import Count, Index
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS

Kind = Literal["hard", "semi-hard"]

HELD = 1 << 22
"""Number of neighbours in memory at a time, beside the selected negatives."""
PAIRS = 4096
"""Number of pairs whose negatives are selected at a time."""


class NearNegatives(NamedTuple):
    """The nearest negatives of A anchors, nearest first.

    Attributes:
        photo: int64 `[A, k]`; entries from `counts` on are any photo.
        distance: `[A, k]`, distances from the anchor.
        counts: int64 `[A]`, number of negatives: k, or all if the anchor has fewer.
    """

    photo: Tensor
    distance: Tensor
    counts: Tensor


def near_negatives(embeddings: Tensor, labels: Tensor, anchors: Tensor, k: int, distance: Distance) -> NearNegatives:
    """The k nearest negatives of some photos, exactly (`siamesekit.nearest`), in O(A k) memory.

    For an individual with M photos, M − 1 more neighbours are searched, since the nearest may all be positives.
    Negatives at an infinite distance come last, followed only by those whose distance is NaN.

    Args:
        embeddings: `[N, D]`, float32 or float64.
        labels: int64 `[N]`, on the same device.
        anchors: int64 `[A]`, indices into the N photos.
        k: at least 1.
        distance: the distance that ranks negatives.
    """
    k = min(k, max(1, len(labels) - 1))
    photo = torch.zeros(len(anchors), k, dtype=torch.int64, device=labels.device)
    found = NearNegatives(photo, embeddings.new_zeros(photo.shape), photo.new_zeros(len(anchors)))
    _, _, size = by_individual(labels)
    needed = size[anchors] - 1 + k
    octave = needed.double().log2().ceil()  # anchors that need similar numbers of neighbours are searched together
    for group in octave.unique().tolist():
        rows = (octave == group).nonzero()[:, 0]
        most = int(needed[rows].max())
        for some in rows.split(max(1, HELD // most)):
            neighbours = nearest(embeddings[anchors[some]], embeddings, most, distance, own=anchors[some])
            rank = (labels[neighbours.index] != labels[anchors[some], None]).cumsum(dim=1)  # number of negatives so far
            wanted = torch.arange(1, k + 1, device=rank.device).expand(len(some), k).contiguous()
            column = torch.searchsorted(rank, wanted).clamp_max(rank.shape[1] - 1)
            found.photo[some] = neighbours.index.gather(1, column)
            found.distance[some] = neighbours.distance.gather(1, column)
            found.counts[some] = rank[:, -1].clamp_max(k)
    return found


@torch.no_grad()
def mine_negatives(
    embeddings: Tensor,
    labels: Tensor,
    pairs: tuple[Tensor, Tensor],
    k: int,
    kind: Kind,
    distance: Distance,
    rng: np.random.Generator,
) -> Tensor:
    """A random one of the k nearest negatives of the anchor, for each of T positive pairs: int64 `[T]`.

    Args:
        embeddings: `[N, D]`, float32 or float64.
        labels: int64 `[N]`, on the same device, as all indices.
        pairs: anchors, photos that have a negative, and positives, each int64 `[T]`.
        k: at least 1.
        kind: `hard`, any of the k negatives; `semi-hard`, any of those farther from the anchor than the positive, or
            the farthest of the k if none is.
        distance: the distance that ranks negatives.
        rng: generator of the draws.
    """
    anchor, positive = pairs
    anchors, row = anchor.unique(return_inverse=True)
    near = near_negatives(embeddings, labels, anchors, k, distance)
    column = torch.arange(near.photo.shape[1], device=labels.device)
    chosen = []
    for some in torch.arange(len(anchor), device=labels.device).split(PAIRS):
        count = near.counts[row[some]]
        first = torch.zeros_like(count)
        if kind == "semi-hard":
            d_ap = distance(embeddings[anchor[some]], embeddings[positive[some]])
            as_near = (near.distance[row[some]] <= d_ap[:, None]) & (column < count[:, None])
            first = as_near.sum(dim=1).minimum(count - 1)
        drawn = torch.from_numpy(rng.random(len(some))).to(labels.device)
        place = first + (drawn * (count - first)).long()
        chosen.append(near.photo[row[some], place])
    return torch.cat(chosen) if chosen else anchor


@SAMPLERS.register("mined")
class MinedSampler:
    """Triplets with hard negatives from all training photos, mined by the current embeddings of the network.

    Before epoch `first`, and then every `every` epochs, all training photos are embedded. Positive pairs are drawn as
    by `random-triplets`, each with one of the `neighbours` nearest negatives of its anchor. These triplets are used
    until the next mining, in a new order in each epoch. Before epoch `first`, each epoch has new random triplets.
    Batches have `batch_size` triplets; the last one may be smaller. Each batch holds its distinct photos once: indices
    `[N]` and triplets `[batch_size]`. Memory is O(N · neighbours + triplets).

    Args:
        kind: `hard`, any of the nearest negatives; `semi-hard`, any of those farther from the anchor than the positive,
            or the farthest if none is.
        neighbours: number of nearest negatives from which one is drawn.
        first: the first epoch with mined triplets; 1 mines by the network as it starts.
        every: number of epochs for which mined triplets are used.
        triplets: number of triplets per epoch; 0 for the number of positive pairs, so that each pair occurs once.
        labels: `[N]`, supplied by the run.
        batch_size: number of triplets per batch, from the table `[sampler]`.
        distance: a distance, its name, or a table with its name and options; supplied by the run.
        seed: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        kind: Kind = "semi-hard",
        neighbours: Count = 10,
        first: Count = 2,
        every: Count = 1,
        triplets: Annotated[int, Ge(0), Le(10_000_000)] = 0,
        *,
        labels: Labels,
        batch_size: Count,
        distance: DistanceLike = "squared-euclidean",
        seed: Index,
    ) -> None:
        self.kind: Kind = kind
        self.neighbours, self.first, self.every, self.triplets = neighbours, first, every, triplets
        self.labels = label_array(labels)
        self.batch_size = batch_size
        self.distance = as_distance(distance)
        self.seed = seed
        self.batches = -(-triplets_in_epoch(self.labels, triplets, "mined") // batch_size)
        self.mined: Triplets | None = None

    def __len__(self) -> int:
        return self.batches

    def mine(self, epoch: int, embed: Callable[[], Tensor]) -> None:
        """Mine new triplets before an epoch, if they are due.

        Args:
            epoch: counted from 1.
            embed: computes the embeddings `[N, D]` of the training photos; called only if mining is due.
        """
        if epoch < self.first or (epoch - self.first) % self.every != 0 or self.batches == 0:
            return
        pairs = self._random(epoch)
        embeddings = at_least_float32(embed().detach())
        labels, anchor, positive = (
            index.to(embeddings.device) for index in (torch.from_numpy(self.labels), pairs.anchor, pairs.positive)
        )
        negative = mine_negatives(
            embeddings,
            labels,
            (anchor, positive),
            self.neighbours,
            self.kind,
            self.distance,
            generator(self.seed, f"mined negatives {epoch}"),
        )
        self.mined = Triplets(pairs.anchor, pairs.positive, negative.cpu())

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch: the last mined triplets in a new order, or random triplets before any mining."""
        triplets = self._random(epoch)
        if self.mined is not None:
            order = generator(self.seed, f"mined order {epoch}").permutation(len(self.mined.anchor))
            triplets = Triplets(*(index[torch.from_numpy(order)] for index in self.mined))
        return batches_of_triplets(triplets, self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """The last mined triplets: int64 `[3, T]`, or None."""
        return {"mined": None if self.mined is None else torch.stack(self.mined)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the last mined triplets."""
        self.mined = None if state["mined"] is None else Triplets(*state["mined"].unbind(0))

    def _random(self, epoch: int) -> Triplets:
        return random_triplets(self.labels, self.triplets, generator(self.seed, f"mined epoch {epoch}"))
