"""Sampler `hierarchical`: batches of individuals from the same groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.samplers.grouping import Members, batches_of, deal, several
from siamesekit.errors import ComponentError
from siamesekit.options import Count, Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


def by_group(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> list[Members]:
    """The photos of each individual with several photos, by group: int64 `[N]`, `[N]` → G lists.

    An individual belongs, with all its photos, to the group of most of its photos; ties go to the lower group.
    Individuals that are alone in their groups form one list together; a single such individual joins the shortest list.
    So each list has at least two individuals, if there are two.
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
    """Batches of individuals from the same groups (site, species, family), for negatives from the anchor's group.

    The photos of each group are dealt into portions as by `p-by-k`, `individuals` with `photos` each, and the portions
    of some groups form a batch: indices `[N]`, each photo at most once per epoch. Batches have no triplets; the loss
    or a miner forms them. An individual belongs to the group of most of its photos; individuals that are alone in
    their groups form one group together. The order depends on seed and epoch alone. Batches of similar individuals
    follow Ge et al. 2018 (arXiv:1810.06951), who find them by embeddings.

    Args:
        groups_per_batch: number of groups per batch; fewer if one group has more portions than all others together.
        individuals: number of individuals of each group in a batch; one that would be alone joins another portion of
            the group.
        photos: number of photos of each individual in a batch; all photos if it has fewer.
        labels: `[N]`, supplied by the run.
        groups: `[N]`, the groups of the photos; supplied by the run if the reader gives groups.
        seed: supplied by the run.

    Raises:
        ComponentError: the reader gives no groups, or only one.
    """

    __module__ = "siamesekit"

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
            raise ComponentError(
                "sampler 'hierarchical' needs groups of photos, which the reader does not give: the "
                "reader 'folder' (data.groups) and those of tables (data.group) can"
            )
        labels, groups = label_array(labels), label_array(groups)
        if len(labels) != len(groups):
            raise ComponentError(f"groups do not fit the labels: {len(labels)} labels and {len(groups)} groups")
        if len(labels) and len(np.unique(groups)) == 1:
            raise ComponentError(
                "sampler 'hierarchical' needs several groups, but all training photos are of one group: use "
                'sampler.name = "p-by-k"'
            )
        self.lists = by_group(labels, groups)
        self.groups_per_batch, self.individuals, self.photos = groups_per_batch, individuals, photos
        self.seed = seed
        self.portions = [batches_of(members, individuals, photos) for members in self.lists]
        self.batches = max(-(-sum(self.portions) // groups_per_batch), max(self.portions, default=0))

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, different in each epoch."""
        rng = generator(self.seed, f"hierarchical epoch {epoch}")
        batches: list[Members] = [[] for _ in range(self.batches)]
        place = 0
        for group in rng.permutation(len(self.lists)):
            for portion in deal(self.lists[group], self.photos, self.portions[group], rng):
                batches[place % self.batches].append(portion)
                place += 1
        for batch in rng.permutation(self.batches):
            yield Batch(torch.from_numpy(np.concatenate(batches[batch])), None)
