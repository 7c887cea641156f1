"""Sampler `mined`: its negatives against a loop over all of them, when it mines, and what it keeps."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from helpers import labels_of, photos_of, points
from oracles import positive_pairs
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.samplers import mined as module
from siamesekit.components.samplers.mined import Kind, MinedSampler, mine_negatives, near_negatives
from siamesekit.errors import ComponentError
from siamesekit.registry import SAMPLERS

KINDS = get_args(Kind)
DISTANCES: list[Distance] = [Euclidean(), Cosine(), Dot()]


def nearest_by_loop(
    embeddings: Tensor, labels: NDArray[np.int64], anchor: int, distance: Distance
) -> list[tuple[float, int]]:
    """All negatives of an anchor with their distances, nearest first."""
    return sorted(
        (float(distance(embeddings[anchor], embeddings[n])), n)
        for n in range(len(labels))
        if labels[n] != labels[anchor]
    )


def candidates(
    embeddings: Tensor, labels: NDArray[np.int64], anchor: int, positive: int, k: int, kind: str, distance: Distance
) -> list[int]:
    """The negatives among which one is drawn."""
    near = nearest_by_loop(embeddings, labels, anchor, distance)[:k]
    if kind == "semi-hard":
        d_ap = float(distance(embeddings[anchor], embeddings[positive]))
        near = [(d, n) for d, n in near if d > d_ap] or near[-1:]
    return [n for _, n in near]


def never() -> Tensor:
    raise AssertionError("no embeddings are needed")


def given_(embeddings: Tensor) -> Callable[[], Tensor]:
    return lambda: embeddings


@pytest.fixture(params=["at once", "a few at a time"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "a few at a time":
        monkeypatch.setattr(module, "HELD", 40)
        monkeypatch.setattr(module, "PAIRS", 5)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("distance", DISTANCES, ids=lambda distance: type(distance).__name__)
@pytest.mark.parametrize("k", [1, 3, 1000])
def test_near_negatives_are_the_loops(distance: Distance, k: int) -> None:
    """Individuals of 1 to 20 photos that lie close together, so that many own photos stand before the negatives."""
    labels = labels_of([20, 1, 2, 9, 3])
    embeddings = points(0, 5, 3)[labels] + 0.3 * points(1, 35, 3)
    anchors = torch.tensor([4, 0, 34, 17, 8, 9])
    photo, distances, held = near_negatives(embeddings, torch.from_numpy(labels), anchors, k, distance)
    for row, anchor in enumerate(anchors.tolist()):
        expected = nearest_by_loop(embeddings, labels, anchor, distance)[:k]
        assert held[row] == len(expected)
        assert photo[row, : held[row]].tolist() == [n for _, n in expected]
        np.testing.assert_allclose(distances[row, : held[row]], [d for d, _ in expected], rtol=1e-12, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=6).filter(lambda counts: max(counts) > 1),
    st.integers(0, 999),
    st.integers(1, 30),
    st.integers(0, 2),
)
@settings(deadline=None, max_examples=40)
def test_every_negative_is_one_of_the_loops_candidates(
    kind: Kind, counts: list[int], seed: int, k: int, which: int
) -> None:
    labels, distance = labels_of(counts, seed), DISTANCES[which]
    embeddings = points(seed, len(labels), 3)
    sampler = MinedSampler(kind, k, 1, labels=labels, batch_size=4, distance=distance, seed=seed)
    sampler.mine(1, given_(embeddings))
    batches = list(sampler.epoch(1))
    assert len(batches) == len(sampler)
    rows = photos_of(batches)
    pairs = Counter(tuple(sorted(row[:2])) for row in rows)
    assert pairs == Counter(positive_pairs(labels))
    for anchor, positive, negative in rows:
        assert negative in candidates(embeddings, labels, anchor, positive, k, kind, distance)
    for batch in batches:
        assert len(set(batch.images.tolist())) == len(batch.images)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("kind", KINDS)
def test_each_candidate_is_as_likely(kind: Kind) -> None:
    labels, embeddings = labels_of([2, 5, 5]), points(3, 12, 3)
    anchor, positive = torch.tensor([0]), torch.tensor([next(p for p in range(1, 12) if labels[p] == labels[0])])
    beyond_two = nearest_by_loop(embeddings, labels, 0, Euclidean())[1][0] * 1.001
    embeddings[positive] = embeddings[0] + torch.tensor([0.0, beyond_two, 0.0])
    expected = candidates(embeddings, labels, 0, int(positive), 6, kind, Euclidean())
    assert len(expected) == (6 if kind == "hard" else 4)
    many = 2000 if module.PAIRS > 5 else 400
    drawn = mine_negatives(embeddings, torch.from_numpy(labels), (anchor.repeat(many), positive.repeat(many)), 6, kind,
                           Euclidean(), np.random.default_rng(0))  # fmt: skip
    counts = Counter(drawn.tolist())
    assert set(counts) == set(expected)
    np.testing.assert_allclose([count / many for count in counts.values()], 1 / len(expected), atol=0.07)


def test_it_mines_before_the_first_epoch_told_and_then_every_so_often() -> None:
    labels = labels_of([3, 3])
    sampler = MinedSampler(first=3, every=2, labels=labels, batch_size=4, distance=Euclidean(), seed=0)
    mined = []
    for epoch in range(1, 9):
        sampler.mine(epoch, lambda: mined.append(epoch) or points(epoch, 6, 3))  # noqa: B023
    assert mined == [3, 5, 7]


def test_until_the_next_time_the_triplets_stay_and_their_order_does_not() -> None:
    labels = labels_of([5, 5, 5])
    sampler = MinedSampler(neighbours=3, first=2, every=3, labels=labels, batch_size=4, distance=Euclidean(), seed=0)
    epochs = []
    for epoch in range(1, 6):
        sampler.mine(epoch, given_(points(epoch, 15, 3)))
        epochs.append(photos_of(list(sampler.epoch(epoch))))
    assert sorted(epochs[1]) == sorted(epochs[2]) == sorted(epochs[3])
    assert epochs[1] != epochs[2] != epochs[3] != epochs[1]
    assert sorted(epochs[0]) != sorted(epochs[1]) != sorted(epochs[4])


def test_before_it_has_mined_triplets_are_random_and_other_ones_in_each_epoch() -> None:
    labels = labels_of([4, 4, 4])
    sampler = MinedSampler(first=9, labels=labels, batch_size=5, distance=Euclidean(), seed=0)
    epochs = []
    for epoch in (1, 2):
        sampler.mine(epoch, never)
        epochs.append(photos_of(list(sampler.epoch(epoch))))
    assert epochs[0] != epochs[1]
    for anchor, positive, negative in epochs[0]:
        assert labels[anchor] == labels[positive] != labels[negative]
    assert photos_of(list(sampler.epoch(1))) == epochs[0]


def test_a_resumed_sampler_goes_on_with_the_same_triplets(tmp_path: Path) -> None:
    labels = labels_of([4, 4, 4])

    def made() -> MinedSampler:
        return MinedSampler(first=1, every=5, labels=labels, batch_size=4, distance=Euclidean(), seed=0)

    before, after = made(), made()
    assert before.state_dict() == {"mined": None}
    after.load_state_dict(before.state_dict())
    assert after.mined is None
    before.mine(1, given_(points(1, 12, 3)))
    torch.save(before.state_dict(), tmp_path / "state.pt")
    after.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for sampler in (before, after):
        sampler.mine(2, never)
    assert photos_of(list(after.epoch(2))) == photos_of(list(before.epoch(2)))
    assert photos_of(list(made().epoch(2))) != photos_of(list(before.epoch(2)))


def test_the_same_seed_epoch_and_embeddings_give_the_same_batches() -> None:
    labels = labels_of([4, 4, 4])

    def drawn(seed: int, state: int) -> list[tuple[int, ...]]:
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        sampler = MinedSampler(first=1, labels=labels, batch_size=4, distance=Euclidean(), seed=seed)
        sampler.mine(1, given_(points(1, 12, 3)))
        return photos_of(list(sampler.epoch(1)))

    assert drawn(0, 1) == drawn(0, 2) != drawn(1, 1)


@pytest.mark.parametrize("triplets", [1, 7, 30, 75])
def test_an_epoch_has_as_many_triplets_as_told(triplets: int) -> None:
    """There are 18 pairs: each comes as often as any other, or once more."""
    labels = labels_of([4, 4, 4])
    sampler = MinedSampler(first=1, triplets=triplets, labels=labels, batch_size=4, distance=Euclidean(), seed=0)
    sampler.mine(1, given_(points(1, 12, 3)))
    rows = photos_of(list(sampler.epoch(1)))
    assert len(rows) == triplets
    assert len(sampler) == -(-triplets // 4)
    often = Counter(tuple(sorted(row[:2])) for row in rows).values()
    assert max(often) - (min(often) if len(often) == 18 else 0) <= 1


@pytest.mark.parametrize("labels", [[], [0, 1, 2], [0, 0, 0]], ids=["no photos", "no pair", "no negative"])
def test_without_a_triplet_there_is_nothing_to_mine(labels: list[int]) -> None:
    sampler = MinedSampler(first=1, labels=np.array(labels, dtype=np.int64), batch_size=4, distance=Euclidean(), seed=0)
    sampler.mine(1, never)
    assert (len(sampler), list(sampler.epoch(1))) == (0, [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.0], ids=str)
def test_embeddings_that_tell_nothing_give_valid_triplets(kind: Kind, value: float) -> None:
    labels = labels_of([3, 3, 3])
    sampler = MinedSampler(kind, first=1, labels=labels, batch_size=4, distance=Euclidean(), seed=0)
    sampler.mine(1, given_(torch.full((9, 2), value, dtype=torch.bfloat16)))
    for anchor, positive, negative in photos_of(list(sampler.epoch(1))):
        assert anchor != positive
        assert labels[anchor] == labels[positive] != labels[negative]


def test_no_neighbours_are_refused() -> None:
    with pytest.raises(ComponentError, match="neighbours: must be greater than or equal to 1, not 0"):
        SAMPLERS.build(
            "mined", {"neighbours": 0}, labels=np.array([0, 0, 1]), batch_size=4, seed=0, distance=Euclidean()
        )
