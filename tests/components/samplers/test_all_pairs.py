"""Sampler `all-pairs`: every positive pair once, each with a random negative."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers import labels_of, photos_of
from siamesekit.components.samplers.all_pairs import AllPairsSampler
from siamesekit.data.records import Record
from siamesekit.data.splits import split_records
from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS

Labels = NDArray[np.int64]


def first_photos(labels: Labels, photos: int) -> list[list[int]]:
    """Each individual's first photos, by a plain loop."""
    return [[i for i, label in enumerate(labels) if label == wanted][:photos] for wanted in sorted(set(labels))]


@pytest.fixture(scope="module")
def parts() -> dict[str, Labels]:
    """Labels of the parts of 50 individuals with 10 photos, split 45 to 5."""
    records = [Record(f"{i}/{p}", f"{i:02}", Path("x")) for i in range(50) for p in range(10)]
    split = split_records(records, "identity", 0.9, 0.0, (), 0)
    return {name: np.array([int(records[i].individual) for i in part]) for name, part in split.parts().items()}


@pytest.mark.parametrize(("part", "triplets"), [("train", 2025), ("test", 225)])
def test_forty_five_individuals_give_2025_triplets_and_five_give_225(
    parts: dict[str, Labels], part: str, triplets: int
) -> None:
    sampler = AllPairsSampler(labels=parts[part], batch_size=128, seed=0)
    assert len(photos_of(list(sampler.epoch(1)))) == triplets


def test_batches_of_128_are_sixteen_and_the_last_has_105(parts: dict[str, Labels]) -> None:
    sampler = AllPairsSampler(labels=parts["train"], batch_size=128, seed=0)
    sizes = [len(batch.triplets.anchor) for batch in sampler.epoch(1)]
    assert sizes == [128] * 15 + [105]
    assert len(sampler) == 16


def test_every_epoch_is_the_same_and_the_seed_decides(parts: dict[str, Labels]) -> None:
    def drawn(seed: int, epoch: int) -> list[tuple[int, ...]]:
        return photos_of(list(AllPairsSampler(labels=parts["test"], batch_size=32, seed=seed).epoch(epoch)))

    assert drawn(0, 1) == drawn(0, 2) == drawn(0, 7)
    assert drawn(0, 1) != drawn(1, 1)
    assert {row[:2] for row in drawn(0, 1)} == {row[:2] for row in drawn(1, 1)}


def test_order_is_shuffled(parts: dict[str, Labels]) -> None:
    rows = photos_of(list(AllPairsSampler(labels=parts["train"], batch_size=128, seed=0).epoch(1)))
    assert rows != sorted(rows)
    individuals = parts["train"][[row[0] for row in rows[:128]]]
    assert len(set(individuals)) > 30, "a batch must mix individuals"


@given(
    st.lists(st.integers(1, 8), min_size=2, max_size=8).filter(lambda counts: max(counts) > 1),
    st.integers(2, 9),
    st.integers(1, 20),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_every_pair_of_an_individuals_first_photos_is_positive_exactly_once(
    counts: list[int], photos: int, batch_size: int, seed: int
) -> None:
    labels = labels_of(counts, seed)
    batches = list(AllPairsSampler(photos, labels=labels, batch_size=batch_size, seed=seed).epoch(1))
    members = first_photos(labels, photos)
    taking_part = {i for mine in members for i in mine}
    rows = photos_of(batches)
    assert Counter(row[:2] for row in rows) == Counter(pair for mine in members for pair in combinations(mine, 2))
    for anchor, positive, negative in rows:
        assert anchor < positive
        assert labels[anchor] == labels[positive] != labels[negative]
        assert negative in taking_part
    for batch in batches:
        assert len(set(batch.images.tolist())) == len(batch.images)
        assert set(batch.images.tolist()) == {i for row in photos_of([batch]) for i in row}


def test_without_a_pair_or_a_negative_there_is_nothing_to_sample() -> None:
    for labels in ([0, 1, 2], [4, 4, 4]):
        sampler = AllPairsSampler(labels=np.array(labels), batch_size=4, seed=0)
        assert (len(sampler), list(sampler.epoch(1))) == (0, [])


def test_one_photo_of_an_individual_is_refused_because_it_makes_no_pair() -> None:
    with pytest.raises(ComponentError, match="photos: must be greater than or equal to 2, not 1"):
        SAMPLERS.build("all-pairs", {"photos": 1}, labels=np.array([0, 0, 1, 1]), batch_size=4, seed=0)
