"""Miners where distances are not finite, or at the end of the range: loops that rank as numbers do, NaN last."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers import rows_of
from oracles import anchors_of, batch_hard_triplets, easy_positive_triplets, rank_key, semi_hard_triplets
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.miners.batch_hard import batch_hard
from siamesekit.components.miners.easy_positive import Negatives, easy_positive
from siamesekit.components.miners.semi_hard import semi_hard
from siamesekit.components.samplers.mined import mine_negatives
from siamesekit.components.tuples import Pairs, Tuples, all_pairs
from siamesekit.evaluation.ranking import ranking
from siamesekit.registry import DISTANCES, LOSSES, MINERS

LARGEST = float(np.finfo(np.float64).max)
EXTREMES = [-math.inf, -LARGEST, -1.0, 0.0, 1.0, 2.0, LARGEST, math.inf, math.nan]


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, list[int]]:
    labels = draw(st.lists(st.integers(0, 3), max_size=8))
    size = len(labels)
    values = draw(st.lists(st.sampled_from(EXTREMES), min_size=size * size, max_size=size * size))
    return torch.tensor(values, dtype=torch.float64).view(size, size), labels


@given(batches())
@settings(deadline=None)
def test_batch_hard_equals_the_loop(batch: tuple[Tensor, list[int]]) -> None:
    distances, labels = batch
    found = rows_of(batch_hard(distances, torch.tensor(labels, dtype=torch.int64)))
    assert found == batch_hard_triplets(distances, labels)


@given(batches())
@settings(deadline=None)
def test_semi_hard_equals_the_loop(batch: tuple[Tensor, list[int]]) -> None:
    distances, labels = batch
    d = distances.tolist()
    found = rows_of(semi_hard(distances, torch.tensor(labels, dtype=torch.int64)))
    assert [(a, p, rank_key(d[a][n])) for a, p, n in found] == semi_hard_triplets(distances, labels)
    assert all(labels[a] != labels[n] for a, _, n in found)


@given(batches())
@settings(deadline=None)
def test_easy_positive_equals_the_loop(batch: tuple[Tensor, list[int]]) -> None:
    distances, labels = batch
    individuals = torch.tensor(labels, dtype=torch.int64)
    for kind in get_args(Negatives):
        assert rows_of(easy_positive(distances, individuals, kind)) == easy_positive_triplets(distances, labels, kind)


class Table:
    """A distance of one-dimensional embeddings that are numbers of a matrix's rows."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        first, second = (side[..., 0].long() for side in (a, b))
        return self.matrix[first, second]


@pytest.mark.medium
@given(batches())
@settings(deadline=None)
def test_a_triplet_is_ranked_right_where_its_distances_are_numbers_and_say_so(batch: tuple[Tensor, list[int]]) -> None:
    matrix, labels = batch
    individuals = torch.tensor(labels, dtype=torch.int64)
    d = matrix.tolist()
    right = [d[a][p] < d[a][n] for a, positives, negatives in anchors_of(labels) for p in positives for n in negatives]
    embeddings = torch.arange(len(labels), dtype=torch.float64)[:, None]
    for tuples in (None, all_pairs(individuals)):
        accuracy, _, _ = ranking(embeddings, individuals, tuples, Table(matrix))
        assert accuracy == pytest.approx(np.mean(right), abs=1e-12) if right else math.isnan(accuracy)


@given(batches())
@settings(deadline=None, max_examples=50)
def test_mined_negatives_are_the_nearest_of_other_individuals(batch: tuple[Tensor, list[int]]) -> None:
    matrix, labels = batch
    individuals = torch.tensor(labels, dtype=torch.int64)
    embeddings = torch.arange(len(labels), dtype=torch.float64)[:, None]
    d = [[rank_key(value) for value in row] for row in matrix.tolist()]
    for a, positives, negatives in anchors_of(labels):
        found = mine_negatives(embeddings, individuals, (torch.tensor([a]), torch.tensor(positives[:1])), 1, "hard",
                               Table(matrix), np.random.default_rng(0))  # fmt: skip
        assert int(found) == min(negatives, key=lambda n: d[a][n])


def embeddings_of(kind: str) -> Tensor:
    values = torch.randn(12, 4, generator=torch.Generator().manual_seed(3))
    if kind == "overflowing":
        values[::2] *= 1e20
    elif kind == "one far away":
        values[5] = 3e38
    elif kind == "infinite":
        values[3], values[8, 1] = torch.inf, -torch.inf
    elif kind == "NaN":
        values[3], values[8, 1] = torch.nan, torch.nan
    elif kind == "equal":
        values[:] = 1
    elif kind == "zero":
        values[:] = 0
    return values


def assert_valid(tuples: Tuples, labels: Tensor) -> None:
    pairs = tuples if isinstance(tuples, Pairs) else Pairs(tuples[0], tuples[1], tuples[0], tuples[2])
    assert (labels[pairs.anchor] == labels[pairs.positive]).all()
    assert (pairs.anchor != pairs.positive).all()
    assert (labels[pairs.other_anchor] != labels[pairs.negative]).all()


NAMES = [name for name in MINERS.names() if not name.endswith("*")]
NAMES += [f"pml/{name}" for name in MINERS.family("pml").members()]


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["overflowing", "one far away", "infinite", "NaN", "equal", "zero"])
@pytest.mark.parametrize("name", NAMES)
def test_a_miner_s_positive_is_of_the_anchor_s_individual_and_its_negative_of_another(name: str, kind: str) -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
    embeddings = embeddings_of(kind)
    for distance in ("euclidean", "dot", "cosine", "manhattan"):
        miner = MINERS.build_for_run(name, {}, distance=DISTANCES.build(distance), seed=0)
        try:
            tuples = miner(embeddings, labels)
        except (RuntimeError, AssertionError, ValueError) as error:  # it may refuse what is no number
            assert kind in ("infinite", "NaN", "overflowing", "one far away") and name.startswith("pml/"), error
            continue
        assert_valid(tuples, labels)


def test_the_memory_s_tuples_are_of_the_right_individuals_too() -> None:
    """As `cross-batch-memory` hands them to its inner loss."""
    seen: list[tuple[Tuples, Tensor]] = []
    loss = LOSSES.build(
        "cross-batch-memory",
        {"loss": {"name": "contrastive"}, "miner": {"name": "batch-hard"}},
        distance=Euclidean(),
        embedding_dim=4,
    )
    inner = loss.loss

    def spied(embeddings: Tensor, labels: Tensor, tuples: Tuples) -> object:
        seen.append((tuples, labels))
        return inner(embeddings, labels, tuples)

    loss.loss = spied
    for kind in ("overflowing", "one far away", "infinite"):
        loss(embeddings_of(kind), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4]), None)
    assert len(seen) == 3
    for tuples, labels in seen:
        assert len(tuples[0])
        assert_valid(tuples, labels)
