"""Sampler `p-by-k`: how often and with whom an individual is met."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers import labels_of
from siamesekit.components.samplers.p_by_k import PByKSampler
from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS

Labels = NDArray[np.int64]


def batches_of(sampler: PByKSampler, epoch: int = 1) -> list[list[int]]:
    return [batch.images.tolist() for batch in sampler.epoch(epoch)]


def test_equal_individuals_make_full_batches_that_visit_each_photo_once() -> None:
    labels = labels_of([8] * 12)
    batches = batches_of(PByKSampler(6, 4, labels=labels, seed=0))
    assert len(batches) == 4
    for batch in batches:
        assert sorted(Counter(labels[batch].tolist()).values()) == [4] * 6
    assert sorted(photo for batch in batches for photo in batch) == list(range(96))


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=12),
    st.integers(2, 6),
    st.integers(2, 5),
    st.integers(0, 99),
    st.integers(1, 3),
)
@settings(deadline=None, max_examples=200)
def test_what_holds_for_any_individuals(
    counts: list[int], individuals: int, photos: int, seed: int, epoch: int
) -> None:
    labels = labels_of(counts, seed)
    sampler = PByKSampler(individuals, photos, labels=labels, seed=seed)
    batches = batches_of(sampler, epoch)
    assert len(batches) == len(sampler)
    seen = Counter(photo for batch in batches for photo in batch)
    assert set(seen.values()) <= {1}, "a photo is repeated"
    several = [label for label, count in enumerate(counts) if count > 1]
    assert set(labels[list(seen)].tolist()) == set(several), "an individual with two photos is missing, or one without"
    for batch in batches:
        met = Counter(labels[batch].tolist())
        assert all(min(2, photos) <= count <= photos for count in met.values())
        assert len(several) == 1 or len(met) >= 2, "an individual alone makes no triplet"
        assert len(met) <= individuals + 1
    visits = Counter(label for batch in batches for label in set(labels[batch].tolist()))
    wanted = {label: -(-(counts[label] - 1) // photos) for label in several}
    for label in several:
        assert visits[label] == min(wanted[label], len(batches))
    if 2 * max(wanted.values(), default=0) <= sum(wanted.values()):
        assert visits == wanted, "none need be left out"


def test_no_batch_has_more_individuals_than_wanted_where_none_would_be_alone() -> None:
    labels = labels_of([4] * 17)
    sizes = [len(set(labels[batch].tolist())) for batch in batches_of(PByKSampler(8, 4, labels=labels, seed=1))]
    assert sorted(sizes) == [5, 6, 6]
    labels = labels_of([4] * 5)
    assert sorted(len(batch) for batch in batches_of(PByKSampler(2, 4, labels=labels, seed=1))) == [8, 12]


def test_an_individual_with_far_more_photos_than_the_others_is_not_met_alone() -> None:
    """Twenty-five groups of individual 0 and two others: at most two batches with company; all of them once."""
    labels = np.repeat([0, 1, 2], [100, 4, 4])
    batches = batches_of(PByKSampler(2, 4, labels=labels, seed=0))
    assert [sorted(Counter(labels[batch].tolist()).values()) for batch in batches] == [[4, 4], [4, 4]]
    assert {label for batch in batches for label in labels[batch].tolist()} == {0, 1, 2}


def test_left_out_photos_come_in_other_epochs() -> None:
    sampler = PByKSampler(2, 2, labels=np.repeat([0, 1], 3), seed=0)
    epochs = [{photo for batch in batches_of(sampler, epoch) for photo in batch} for epoch in range(1, 9)]
    assert {len(photos) for photos in epochs} == {4}
    assert set.union(*epochs) == set(range(6))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    labels = labels_of([7] * 9)
    sampler = PByKSampler(4, 3, labels=labels, seed=3)
    second = batches_of(sampler, 2)
    first = batches_of(sampler, 1)
    assert first != second
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert batches_of(PByKSampler(4, 3, labels=labels, seed=3), 2) == second
    assert batches_of(PByKSampler(4, 3, labels=labels, seed=4), 2) != second


def test_company_changes_from_epoch_to_epoch() -> None:
    labels = labels_of([4] * 20)
    sampler = PByKSampler(5, 4, labels=labels, seed=0)
    met = {frozenset(labels[batch].tolist()) for epoch in range(1, 6) for batch in batches_of(sampler, epoch)}
    assert len(met) == 20


def test_it_names_no_triplets_and_needs_no_batch_size() -> None:
    sampler = SAMPLERS.build("p-by-k", {"photos": 2}, labels=np.repeat([0, 1], 2), batch_size=1, seed=0)
    (batch,) = sampler.epoch(1)
    assert batch.triplets is None
    assert batch.images.dtype == torch.int64
    assert sorted(batch.images.tolist()) == [0, 1, 2, 3]
    assert "batch_size" not in {parameter.name for parameter in SAMPLERS.get("p-by-k").runtime}


def test_without_any_pair_there_is_nothing_to_sample() -> None:
    sampler = PByKSampler(labels=np.array([0, 1, 2]), seed=0)
    assert (len(sampler), list(sampler.epoch(1))) == (0, [])


@pytest.mark.parametrize("option", ["individuals", "photos"])
def test_one_makes_no_triplet_and_is_refused(option: str) -> None:
    with pytest.raises(ComponentError, match=f"{option}: must be greater than or equal to 2, not 1"):
        SAMPLERS.build("p-by-k", {option: 1}, labels=np.array([0, 0, 1, 1]), batch_size=4, seed=0)
