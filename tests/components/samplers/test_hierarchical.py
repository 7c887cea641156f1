"""Sampler `hierarchical`: who meets whom."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from siamesekit.components.samplers.hierarchical import HierarchicalSampler, by_group
from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS

Ints = NDArray[np.int64]


def batches_of(sampler: HierarchicalSampler, epoch: int = 1) -> list[list[int]]:
    return [batch.images.tolist() for batch in sampler.epoch(epoch)]


def photos_of(groups: list[list[int]], seed: int = 0) -> tuple[Ints, Ints]:
    """Labels and groups of photos, shuffled, of individuals with so many photos, group by group."""
    labels, owners, label = [], [], 0
    for group, counts in enumerate(groups):
        for count in counts:
            labels += [label] * count
            owners += [group] * count
            label += 1
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.array(labels, dtype=np.int64)[order], np.array(owners, dtype=np.int64)[order]


def test_with_one_group_to_a_batch_all_negatives_are_of_the_anchors_group() -> None:
    labels, groups = photos_of([[8] * 4, [8] * 6, [8] * 8])
    sampler = HierarchicalSampler(1, 2, 4, labels=labels, groups=groups, seed=0)
    batches = batches_of(sampler)
    assert len(batches) == len(sampler) == 18
    for batch in batches:
        assert len(set(groups[batch].tolist())) == 1
        assert sorted(Counter(labels[batch].tolist()).values()) == [4, 4]
    assert sorted(photo for batch in batches for photo in batch) == list(range(len(labels)))


@pytest.mark.parametrize(("meet", "batches"), [(2, 9), (3, 8), (9, 8)])
def test_so_many_groups_meet_as_told_as_far_as_there_are(meet: int, batches: int) -> None:
    """4, 6 and 8 portions: of the last one none meets another of its own, so there are eight batches at least."""
    labels, groups = photos_of([[8] * 4, [8] * 6, [8] * 8])
    sampler = HierarchicalSampler(meet, 2, 4, labels=labels, groups=groups, seed=0)
    found = batches_of(sampler)
    assert len(found) == len(sampler) == batches
    sizes = [len(set(groups[batch].tolist())) for batch in found]
    assert sum(sizes) == 18
    assert max(sizes) <= meet
    for batch in found:
        assert all(count == 2 for count in Counter(groups[i] for i in {labels[j]: j for j in batch}.values()).values())


@pytest.mark.medium
@given(
    st.lists(st.lists(st.integers(1, 7), max_size=5), min_size=2, max_size=5),
    st.integers(1, 4),
    st.integers(2, 4),
    st.integers(2, 4),
    st.integers(0, 99),
    st.integers(1, 3),
)
@settings(deadline=None, max_examples=200)
def test_what_holds_for_any_groups(
    counts: list[list[int]], meet: int, individuals: int, photos: int, seed: int, epoch: int
) -> None:
    labels, groups = photos_of(counts, seed)
    if len(np.unique(groups)) < 2:
        return
    sampler = HierarchicalSampler(meet, individuals, photos, labels=labels, groups=groups, seed=seed)
    batches = batches_of(sampler, epoch)
    assert len(batches) == len(sampler)
    seen = Counter(photo for batch in batches for photo in batch)
    assert set(seen.values()) <= {1}, "a photo is repeated"
    several = {label for label, count in Counter(labels.tolist()).items() if count > 1}
    assert set(labels[list(seen)].tolist()) == several, "an individual is missing, or one without a pair is there"
    sizes = Counter(groups[labels.tolist().index(label)] for label in several)
    for batch in batches:
        met = Counter(labels[batch].tolist())
        assert all(2 <= count <= photos for count in met.values())
        assert len(several) == 1 or len(met) >= 2, "an individual alone makes no triplet"
        owners = Counter(groups[labels.tolist().index(label)] for label in met)
        if all(sizes[group] > 1 for group in owners):  # else one that is alone in its group may be another's company
            assert min(owners.values()) >= 2, "an individual whose group has others is without them"
        assert sum(1 for group in owners if sizes[group] > 1) <= meet


def test_an_individual_belongs_to_the_group_of_most_of_its_photos() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 4])
    groups = np.array([5, 5, 9, 5, 9, 9, 9, 9, 9, 9])
    found = [[mine.tolist() for mine in members] for members in by_group(labels, groups)]
    assert found == [[[0, 1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_individuals_alone_in_their_group_come_together_and_a_last_one_joins_the_least() -> None:
    labels = np.repeat(np.arange(7), 2)
    alone = [[mine[0] for mine in members] for members in by_group(labels, np.repeat([0, 0, 1, 2, 3, 3, 3], 2))]
    assert alone == [[0, 2], [8, 10, 12], [4, 6]]
    one = [[mine[0] for mine in members] for members in by_group(labels, np.repeat([0, 0, 0, 0, 1, 2, 2], 2))]
    assert one == [[0, 2, 4, 6], [10, 12, 8]]
    assert [len(members) for members in by_group(labels, np.repeat(np.arange(7), 2))] == [7]


def test_epochs_differ_and_depend_on_seed_and_epoch_alone() -> None:
    labels, groups = photos_of([[6] * 5, [6] * 5])

    def drawn(seed: int, epoch: int, state: int) -> list[list[int]]:
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        return batches_of(HierarchicalSampler(1, 2, 3, labels=labels, groups=groups, seed=seed), epoch)

    assert drawn(0, 2, 1) == drawn(0, 2, 5)
    assert drawn(0, 1, 1) != drawn(0, 2, 1)
    assert drawn(0, 1, 1) != drawn(1, 1, 1)


def test_without_any_pair_there_is_nothing_to_sample() -> None:
    sampler = HierarchicalSampler(labels=np.array([0, 1, 2]), groups=np.array([0, 1, 1]), seed=0)
    assert (len(sampler), list(sampler.epoch(1))) == (0, [])


def test_a_reader_without_groups_is_refused_with_what_to_do() -> None:
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(ComponentError, match=r"needs groups of photos, which the reader does not give.*data\.group"):
        SAMPLERS.build("hierarchical", labels=labels, batch_size=4, seed=0)
    with pytest.raises(ComponentError, match=r'all training photos are of one group: use sampler.name = "p-by-k"'):
        SAMPLERS.build("hierarchical", labels=labels, groups=np.zeros(4, np.int64), batch_size=4, seed=0)
