"""Sampler `random-triplets`: which triplets an epoch has, and what it depends on."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import labels_of, photos_of
from oracles import positive_pairs
from siamesekit.components.samplers.random_triplets import RandomTripletsSampler
from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS


@given(
    st.lists(st.integers(1, 8), min_size=2, max_size=8).filter(lambda counts: max(counts) > 1),
    st.integers(1, 20),
    st.integers(0, 99),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_by_default_every_positive_pair_comes_once(counts: list[int], batch_size: int, seed: int, epoch: int) -> None:
    labels = labels_of(counts, seed)
    sampler = RandomTripletsSampler(labels=labels, batch_size=batch_size, seed=seed)
    batches = list(sampler.epoch(epoch))
    rows = photos_of(batches)
    pairs = positive_pairs(labels)
    assert Counter(tuple(sorted(row[:2])) for row in rows) == Counter(pairs)
    assert all(labels[anchor] != labels[negative] for anchor, _, negative in rows)
    assert len(batches) == len(sampler)
    assert [len(batch.triplets.anchor) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    for batch in batches:
        assert batch.images.tolist() == sorted({i for row in photos_of([batch]) for i in row})


@pytest.mark.parametrize(("triplets", "batches"), [(1, 1), (4, 1), (5, 2), (60, 15), (100, 25)])
def test_an_epoch_has_as_many_triplets_as_told(triplets: int, batches: int) -> None:
    sampler = RandomTripletsSampler(triplets, labels=labels_of([4] * 10), batch_size=4, seed=0)
    drawn = list(sampler.epoch(1))
    assert len(photos_of(drawn)) == triplets
    assert len(sampler) == len(drawn) == batches


def test_epochs_differ_and_depend_on_seed_and_epoch_alone() -> None:
    labels = labels_of([5] * 6)

    def drawn(seed: int, epoch: int, state: int) -> list[tuple[int, ...]]:
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        return photos_of(list(RandomTripletsSampler(labels=labels, batch_size=7, seed=seed).epoch(epoch)))

    assert drawn(0, 2, 1) == drawn(0, 2, 5)
    assert sorted(drawn(0, 1, 1)) != sorted(drawn(0, 2, 1))
    assert sorted(drawn(0, 1, 1)) != sorted(drawn(1, 1, 1))


@pytest.mark.parametrize("labels", [[], [0, 1, 2], [0, 0, 0]], ids=["no photos", "no pair", "no negative"])
def test_without_a_triplet_there_is_nothing_to_sample(labels: list[int]) -> None:
    sampler = RandomTripletsSampler(50, labels=np.array(labels, dtype=np.int64), batch_size=4, seed=0)
    assert (len(sampler), list(sampler.epoch(1))) == (0, [])


def test_less_than_none_is_refused() -> None:
    with pytest.raises(ComponentError, match="triplets: must be greater than or equal to 0, not -1"):
        SAMPLERS.build("random-triplets", {"triplets": -1}, labels=np.array([0, 0, 1]), batch_size=4, seed=0)


@pytest.mark.parametrize("name", ["random-triplets", "mined", "all-pairs"])
def test_an_epoch_that_would_be_too_long_is_refused_before_it_is_drawn(name: str) -> None:
    """10,000 photos of one individual make 50 million pairs."""
    labels = np.repeat([0, 1], [10_000, 2])
    options = {"photos": 10_000} if name == "all-pairs" else {}
    given = {"distance": "euclidean"} if name == "mined" else {}
    with pytest.raises(ComponentError, match=r"an epoch would have 49,995,001 triplets, but the maximum is 10,000,000"):
        SAMPLERS.build(name, options, labels=labels, batch_size=32, seed=0, **given)


@pytest.mark.parametrize("counts", [[3, 4, 1], [5], [1, 1], [2, 2, 2]])
@pytest.mark.parametrize("triplets", [0, 1, 50])
@pytest.mark.parametrize("name", ["random-triplets", "mined"])
def test_the_number_of_batches_is_known_without_drawing(name: str, triplets: int, counts: list[int]) -> None:
    given = {"distance": "euclidean"} if name == "mined" else {}
    sampler = SAMPLERS.build(name, {"triplets": triplets}, labels=labels_of(counts), batch_size=4, seed=0, **given)
    assert len(sampler) == len(list(sampler.epoch(1)))
