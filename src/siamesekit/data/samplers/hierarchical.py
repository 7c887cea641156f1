"""Sampler `hierarchical`: individuals that meet are of the same groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.data.samplers.batch import Batch
from siamesekit.data.samplers.dealing import Members, batches_of, deal, several
from siamesekit.errors import ComponentError
from siamesekit.labels import Labels, label_array
from siamesekit.options import Count, Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


def by_group(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> list[Members]:
    """The individuals that have several photos, by group, and each one's photos: int64 `[N]`, `[N]` → G lists.

    An individual belongs to the group of most of its photos, of equally many to the lower one, with all its photos.
    Individuals that are the only one of their group come together in one list; where that is one individual, it joins
    the shortest list. So every list has two individuals or more, if there are two at all.
    """
    found: dict[int, Members] = {}
    for mine in several(labels):
        own, counts = np.unique(groups[mine], return_counts=True)
        found.setdefault(int(own[counts.argmax()]), []).append(mine)
    lists = [found[group] for group in sorted(found)]
    company = [members for members in lists if len(members) > 1]
    alone = [members[0] for members in lists if len(members) == 1]
    if len(alone) == 1 and company:
        min(company, key=len).extend(alone)
    elif alone:
        company.append(alone)
    return company


@SAMPLERS.register("hierarchical")
class HierarchicalSampler:
    """Batches of individuals of the same groups (site, species, family), so that negatives are of the anchor's group.

    Each group's photos are dealt as `p-by-k` does, `individuals` with `photos` each, and the portions of some groups
    make a batch, indices `[N]`, each photo at most once an epoch. It has no triplets: the loss, or a miner, makes them.
    An individual belongs to the group of most of its photos; individuals that are the only ones of their group make up
    a group together. An epoch's order depends on the seed and the epoch alone. That a batch's individuals be near
    relatives is the idea of Ge et al. 2018 (arXiv:1810.06951), who find them by embeddings.

    Args:
        groups_per_batch: how many groups meet in a batch; fewer where one has more portions than all others together.
        individuals: of each group in a batch; where one would be left alone it joins another portion of its group.
        photos: of each individual; all of them where it has fewer.
        labels: `[N]`, supplied by the run.
        groups: `[N]`, the photos' groups; supplied by the run where the reader gives groups.
        seed: supplied by the run.

    Raises:
        ComponentError: the reader gives no groups, or all photos are of one.
    """

    def __init__(
        self,
        groups_per_batch: Count = 1,
        individuals: Several = 16,
        photos: Several = 4,
        *,
        labels: Labels,
        groups: Labels | None = None,
        seed: Index,
    ) -> None:
        if groups is None:
            raise ComponentError("sampler 'hierarchical' needs groups of photos, which the reader does not give: the "
                                 "readers 'folder' (data.groups) and 'csv' (data.group) can")  # fmt: skip
        labels, groups = label_array(labels), label_array(groups)
        if len(labels) != len(groups):
            raise ComponentError(f"groups do not fit the labels: {len(labels)} labels and {len(groups)} groups")
        if len(labels) and len(np.unique(groups)) == 1:
            raise ComponentError("sampler 'hierarchical' needs groups of photos, and all that train are of one: use "
                                 'sampler.name = "p-by-k"')  # fmt: skip
        self.lists = by_group(labels, groups)
        self.groups_per_batch, self.individuals, self.photos = groups_per_batch, individuals, photos
        self.seed = seed
        self.portions = [batches_of(members, individuals, photos) for members in self.lists]
        self.batches = max(-(-sum(self.portions) // groups_per_batch), max(self.portions, default=0))

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, other ones in each."""
        rng = generator(self.seed, f"hierarchical epoch {epoch}")
        batches: list[Members] = [[] for _ in range(self.batches)]
        place = 0
        for group in rng.permutation(len(self.lists)):
            for portion in deal(self.lists[group], self.photos, self.portions[group], rng):
                batches[place % self.batches].append(portion)
                place += 1
        for batch in rng.permutation(self.batches):
            yield Batch(torch.from_numpy(np.concatenate(batches[batch])), None)
