"""Sampler `mined`: triplets whose negatives are near by the embeddings, among all training photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from siamesekit.data.samplers.batch import Batch, batches_of_triplets, triplets_in_epoch
from siamesekit.distances.distance import Distance, DistanceLike, as_distance, at_least_float32
from siamesekit.labels import Labels, label_array
from siamesekit.options import Count, Index
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.retrieval import nearest
from siamesekit.triplets import Triplets, by_individual, random_triplets

Kind = Literal["hard", "semi-hard"]

HELD = 1 << 22
"""Neighbours held at a time, beside the negatives that are kept."""
PAIRS = 4096
"""Pairs whose negatives are chosen at a time."""


class NearNegatives(NamedTuple):
    """The nearest negatives of A anchors, nearest first.

    Attributes:
        photo: int64 `[A, k]`; beyond the first `held` it is any photo.
        distance: `[A, k]`, from the anchor.
        held: int64 `[A]`, how many there are: k, or all where the anchor has fewer.
    """

    photo: Tensor
    distance: Tensor
    held: Tensor


def near_negatives(embeddings: Tensor, labels: Tensor, anchors: Tensor, k: int, distance: Distance) -> NearNegatives:
    """The k nearest negatives of some photos, exactly (`siamesekit.retrieval`), in memory that grows with A k.

    An individual with M photos asks for M − 1 neighbours more, which may all be its own. Negatives at an infinite
    distance, and after those at one that is NaN, are the farthest.

    Args:
        embeddings: `[N, D]`, float32 or float64.
        labels: int64 `[N]`, on the same device.
        anchors: int64 `[A]`, indices into the N photos.
        k: at least 1.
        distance: what ranks.
    """
    k = min(k, max(1, len(labels) - 1))
    photo = torch.zeros(len(anchors), k, dtype=torch.int64, device=labels.device)
    found = NearNegatives(photo, embeddings.new_zeros(photo.shape), photo.new_zeros(len(anchors)))
    _, _, size = by_individual(labels)
    needed = size[anchors] - 1 + k
    octave = needed.double().log2().ceil()  # anchors that need about as many neighbours are looked up together
    for group in octave.unique().tolist():
        rows = (octave == group).nonzero()[:, 0]
        most = int(needed[rows].max())
        for some in rows.split(max(1, HELD // most)):
            neighbours = nearest(embeddings[anchors[some]], embeddings, most, distance, own=anchors[some])
            rank = (labels[neighbours.index] != labels[anchors[some], None]).cumsum(dim=1)  # negatives up to here
            wanted = torch.arange(1, k + 1, device=rank.device).expand(len(some), k).contiguous()
            column = torch.searchsorted(rank, wanted).clamp_max(rank.shape[1] - 1)
            found.photo[some] = neighbours.index.gather(1, column)
            found.distance[some] = neighbours.distance.gather(1, column)
            found.held[some] = rank[:, -1].clamp_max(k)
    return found


@torch.no_grad()
def mine_negatives(
    embeddings: Tensor,
    labels: Tensor,
    anchor: Tensor,
    positive: Tensor,
    k: int,
    kind: Kind,
    distance: Distance,
    rng: np.random.Generator,
) -> Tensor:
    """For each of T positive pairs one of the anchor's k nearest negatives at random: int64 `[T]`.

    Args:
        embeddings: `[N, D]`, float32 or float64.
        labels: int64 `[N]`, on the same device, as all indices.
        anchor: int64 `[T]`, photos that have a negative.
        positive: int64 `[T]`.
        k: at least 1.
        kind: `hard`, any of the k; `semi-hard`, any of those that are farther from the anchor than the positive, or
            the farthest of the k where none is.
        distance: what ranks.
        rng: draws them.
    """
    anchors, row = anchor.unique(return_inverse=True)
    near = near_negatives(embeddings, labels, anchors, k, distance)
    column = torch.arange(near.photo.shape[1], device=labels.device)
    chosen = []
    for some in torch.arange(len(anchor), device=labels.device).split(PAIRS):
        count = near.held[row[some]]
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
    """Triplets with hard negatives from all training photos, by the network's own embeddings, renewed now and then.

    Before epoch `first`, and every `every` epochs from there on, all training photos are embedded, and for positive
    pairs, drawn as `random-triplets` draws them, a negative is taken among the `neighbours` nearest ones of the anchor.
    Until the next time it is these triplets, in another order in each epoch. In the epochs before `first` triplets are
    random, other ones in each. Batches have `batch_size` triplets, the last one fewer where it does not fill up; each
    holds its distinct photos once: indices `[N]` and triplets `[batch_size]`. Memory is O(N · neighbours + triplets).

    Args:
        kind: `hard`, any of those neighbours; `semi-hard`, any of those that are farther from the anchor than the
            positive, or the farthest where none is.
        neighbours: among how many of the anchor's nearest negatives.
        first: the epoch before which triplets are first mined; 1: by the embeddings of the network as it starts.
        every: how many epochs the same triplets are for.
        triplets: in an epoch; 0: as many as there are positive pairs, so that each comes once.
        labels: `[N]`, supplied by the run.
        batch_size: triplets in a batch, of the table `[sampler]`.
        distance: what ranks: a distance, its name, or a table with its name and options; the run's, in a run.
        seed: supplied by the run.
    """

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
        """Renew the triplets before an epoch, where it is time.

        Args:
            epoch: counted from 1.
            embed: gives the training photos' embeddings `[N, D]`; called only where it is time.
        """
        if epoch < self.first or (epoch - self.first) % self.every != 0 or self.batches == 0:
            return
        pairs = self._random(epoch)
        embeddings = at_least_float32(embed().detach())
        labels, anchor, positive = (
            index.to(embeddings.device) for index in (torch.from_numpy(self.labels), pairs.anchor, pairs.positive)
        )
        negative = mine_negatives(embeddings, labels, anchor, positive, self.neighbours, self.kind, self.distance,
                                  generator(self.seed, f"mined negatives {epoch}"))  # fmt: skip
        self.mined = Triplets(pairs.anchor, pairs.positive, negative.cpu())

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch: of what was mined last, in an order of its own."""
        triplets = self._random(epoch)
        if self.mined is not None:
            order = generator(self.seed, f"mined order {epoch}").permutation(len(self.mined.anchor))
            triplets = Triplets(*(index[torch.from_numpy(order)] for index in self.mined))
        return batches_of_triplets(triplets, self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """What was mined last: int64 `[3, T]`, or None."""
        return {"mined": None if self.mined is None else torch.stack(self.mined)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what was mined last."""
        self.mined = None if state["mined"] is None else Triplets(*state["mined"].unbind(0))

    def _random(self, epoch: int) -> Triplets:
        return random_triplets(self.labels, self.triplets, generator(self.seed, f"mined epoch {epoch}"))
