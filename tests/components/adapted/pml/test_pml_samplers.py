"""Samplers `pml/*`: the batches that pytorch-metric-learning's samplers plan, from seed and epoch alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_metric_learning import samplers
from pytorch_metric_learning.utils import common_functions

from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(9), 6))
GROUPS = LABELS // 3
OPTIONS: dict[str, dict[str, Any]] = {
    "fixed-set-of-triplets": {"num_triplets": 25},
    "hierarchical": {"samples_per_class": 3, "super_classes_per_batch": 2},
    "m-per-class": {"m": 3},
}


def build(name: str, labels: NDArray[np.int64] = LABELS, batch_size: int = 12, seed: int = 0, **options: Any) -> Any:
    groups = GROUPS if labels is LABELS else labels * 0
    return SAMPLERS.build(
        f"pml/{name}", OPTIONS[name] | options, labels=labels, groups=groups, batch_size=batch_size, seed=seed
    )


def planned(sampler: Any, epoch: int) -> list[Any]:
    return [
        (batch.images.tolist(), None if batch.triplets is None else [index.tolist() for index in batch.triplets])
        for batch in sampler.epoch(epoch)
    ]


def test_every_member_is_tried() -> None:
    assert set(OPTIONS) == set(SAMPLERS.family("pml").members())


@pytest.mark.parametrize("name", OPTIONS)
def test_an_epoch_is_the_same_every_time_and_others_differ(name: str) -> None:
    sampler = build(name)
    first = planned(sampler, 1)
    assert len(first) == len(sampler) > 1
    second = planned(sampler, 2)
    assert planned(sampler, 1) == first == planned(build(name), 1)
    assert second == planned(build(name), 2)
    assert first != second
    assert planned(build(name, seed=1), 1) != first


@pytest.mark.parametrize("name", OPTIONS)
def test_photos_are_distinct_and_there(name: str) -> None:
    for epoch in range(1, 4):
        for images, _ in planned(build(name), epoch):
            assert len(set(images)) == len(images) > 1
            assert set(images) <= set(range(len(LABELS)))


@pytest.mark.parametrize("name", OPTIONS)
def test_numpy_s_and_torch_s_generators_stay_theirs(name: str) -> None:
    before, state = common_functions.NUMPY_RANDOM, torch.get_rng_state()
    np.random.seed(0)  # noqa: NPY002
    global_state = np.random.get_state()[1].tolist()  # noqa: NPY002
    planned(build(name), 1)
    assert common_functions.NUMPY_RANDOM is before
    assert np.random.get_state()[1].tolist() == global_state  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("m", [2, 3, 4, 6])
def test_m_per_class_has_m_photos_of_each_individual(m: int) -> None:
    sampler = build("m-per-class", m=m)
    for images, triplets in planned(sampler, 1):
        assert triplets is None
        assert sorted(Counter(LABELS[images].tolist()).values()) == [m] * (12 // m)
    assert len(sampler) == len(LABELS) // 12


def test_m_per_class_with_fewer_photos_has_each_once() -> None:
    """Theirs repeats photos to fill up; a batch here has each photo once."""
    labels = np.repeat(np.arange(6), 2)
    for images, _ in planned(build("m-per-class", labels, m=4, batch_size=12), 1):
        assert set(Counter(labels[images].tolist()).values()) <= {1, 2}


def test_m_per_class_is_theirs() -> None:
    """The same photos as their sampler gives when its generator is seeded the same."""
    sampler = build("m-per-class")
    expected = []
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = sampler._random("epoch 3")
    try:
        theirs = samplers.MPerClassSampler(LABELS, m=3, batch_size=12, length_before_new_iter=len(LABELS))
        common_functions.NUMPY_RANDOM = sampler._random("epoch 3")
        drawn = [int(photo) for photo in theirs]
    finally:
        common_functions.NUMPY_RANDOM = before
    expected = [sorted(drawn[start : start + 12]) for start in range(0, len(drawn), 12)]
    assert [images for images, _ in planned(sampler, 3)] == expected


def test_hierarchical_batches_are_of_two_groups_with_as_many_photos() -> None:
    sampler = build("hierarchical")
    assert len(sampler) == 3 * 4
    for images, _ in planned(sampler, 1):
        assert sorted(Counter(GROUPS[images].tolist()).values()) == [6, 6]
        assert set(Counter(LABELS[images].tolist()).values()) == {3}


def test_hierarchical_without_groups_is_refused() -> None:
    with pytest.raises(ComponentError, match="needs groups of photos, which the reader does not give"):
        SAMPLERS.build("pml/hierarchical", OPTIONS["hierarchical"], labels=LABELS, batch_size=12, seed=0)


def test_a_fixed_set_of_triplets_stays_the_same_over_the_epochs() -> None:
    sampler = build("fixed-set-of-triplets", batch_size=10)
    sets = []
    for epoch in (1, 2):
        triplets = []
        for images, indices in planned(sampler, epoch):
            chosen = np.array(images)
            triplets += list(zip(*(chosen[index].tolist() for index in indices), strict=True))
        assert len(triplets) == 25
        for anchor, positive, negative in triplets:
            assert anchor != positive
            assert LABELS[anchor] == LABELS[positive] != LABELS[negative]
        sets.append(triplets)
    assert sets[0] != sets[1]
    assert sorted(sets[0]) == sorted(sets[1])
    assert len(sampler) == 3


@pytest.mark.parametrize(
    ("name", "options", "batch_size"),
    [
        ("m-per-class", {"m": 5}, 12),
        ("m-per-class", {"m": 1}, 12),
        ("hierarchical", {"samples_per_class": 4}, 12),
        ("hierarchical", {}, 13),
    ],
)
def test_what_they_refuse_is_refused_by_name(name: str, options: dict[str, Any], batch_size: int) -> None:
    with pytest.raises(ComponentError, match=rf"^pml/{name} refuses these options: .+"):
        build(name, batch_size=batch_size, **options)
