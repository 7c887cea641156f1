"""k-reciprocal re-ranking, against the paper's formulas written out as sets and sums in float64."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import points
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.errors import UserError
from siamesekit.evaluation.re_ranking import KReciprocal, ReRanker, k_reciprocal


def literal(query: torch.Tensor, gallery: torch.Tensor, distance: Distance, options: KReciprocal) -> list[float]:
    """d* of a query to each photo: sets, dictionaries and sums, one for each formula of the paper."""
    everything = [*gallery, query]
    p, count = len(gallery), len(everything)
    raw = [[float(distance(a, b)) for b in everything] for a in everything]
    pairs = [raw[a][b] for a in range(p) for b in range(p) if a != b]
    low = min(0.0, min(chain(*(row[:p] for row in raw[:p]))))
    unit = sum(pairs) / len(pairs) - low if pairs else 1.0
    d = [[(far - low) / unit for far in row] for row in raw]

    def near(x: int, k: int) -> list[int]:
        return [x, *sorted((y for y in range(count) if y != x), key=lambda y: (raw[x][y], y))[:k]]

    def reciprocal(x: int, k: int) -> set[int]:
        return {y for y in near(x, k) if x in near(y, k)}

    def robust(x: int) -> set[int]:
        found = own = reciprocal(x, options.k1)
        for y in own:
            others = reciprocal(y, round(options.k1 / 2))
            if len(own & others) >= 2 / 3 * len(others):
                found = found | others
        return found

    vectors = [{y: math.exp(-d[x][y]) for y in robust(x)} for x in range(count)]

    def expanded(x: int) -> list[float]:
        averaged = near(x, options.k2 - 1)
        return [sum(vectors[z].get(y, 0.0) for z in averaged) / len(averaged) for y in range(count)]

    own = expanded(p)
    first = [y for y in near(p, options.photos) if y != p]
    result = []
    for g in range(p):
        jaccard = 1.0
        if g in first:
            other = expanded(g)
            jaccard -= sum(map(min, own, other)) / sum(map(max, own, other))
        result.append((1 - options.weight) * jaccard + options.weight * d[p][g])
    return result


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 26),
    st.tuples(st.integers(1, 6), st.integers(0, 5), st.integers(0, 20)),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([Euclidean(), Cosine(), Dot(), Manhattan()]),
    st.booleans(),
)
def test_distances_are_those_of_the_paper_s_formulas(
    seed: int, photos: int, ks: tuple[int, int, int], weight: float, distance: Distance, copies: bool
) -> None:
    k2 = ks[0]
    k1 = k2 + ks[1]
    options = KReciprocal(k1, k2, weight, k1 + ks[2])
    embeddings = points(seed, photos + 3, 3)
    if copies:
        embeddings = embeddings.round() + 0.5
    queries, gallery = embeddings[:3], embeddings[3:]
    found = k_reciprocal(queries, gallery, distance, options)
    expected = [literal(query, gallery, distance, options) for query in queries]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.medium
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 30))
def test_photos_that_are_left_out_might_as_well_not_be_there(seed: int, photos: int, out: int) -> None:
    embeddings = points(seed, photos + 2, 3)
    queries, gallery = embeddings[:2], embeddings[2:]
    gone = [np.random.default_rng(seed + n).permutation(photos)[: min(out, photos - 1)] for n in range(2)]
    ranker = ReRanker(gallery, Euclidean(), KReciprocal(6, 3, photos=12))
    found = ranker(queries, gone)
    for query, without, row in zip(queries, gone, found, strict=True):
        kept = np.setdiff1d(np.arange(photos), without)
        other = ReRanker(gallery[torch.from_numpy(kept)], Euclidean(), KReciprocal(6, 3, photos=12))
        other.low, other.unit = ranker.low, ranker.unit
        np.testing.assert_allclose(row[kept], other(query[None])[0], rtol=1e-9)
        assert np.isinf(row[without]).all()


def test_shared_neighbours_count_more_than_a_little_distance() -> None:
    """The nearest photo lies between its own group and the query; it shares the group's neighbours, not the query's."""
    own = torch.tensor([[0.0, 0.0], [0.0, 0.4], [0.4, 0.0], [0.4, 0.4]], dtype=torch.float64)
    far = torch.tensor([[2.0, 0.2], [2.0, 0.4], [2.2, 0.2], [2.2, 0.4], [1.25, 0.2]], dtype=torch.float64)
    gallery, query = torch.cat([own, far]), torch.tensor([[0.8, 0.2]], dtype=torch.float64)
    query_to = (query - gallery).norm(dim=1)
    assert query_to[2:4].max() < query_to[8] and query_to[8] < query_to[:2].min()
    moved = k_reciprocal(query, gallery, "euclidean", KReciprocal(4, 1, 0.1, 9))[0]
    assert moved[:4].max() < moved[8]


def test_memory_is_that_of_the_lists_of_neighbours() -> None:
    gallery = torch.randn(6000, 8, generator=torch.Generator().manual_seed(0))
    ranker = ReRanker(gallery, Euclidean(), KReciprocal())
    ranker(gallery[:3] + 0.01)
    arrays = [value for value in vars(ranker.lists).values() if isinstance(value, np.ndarray)]
    assert len(arrays) == 3 and all(array.size <= 6000 * ranker.lists.depth for array in arrays)
    known = ranker.lists._known
    assert 0 < known.sum() < 6000, "the lists of photos far from the queries are not computed"


@pytest.mark.parametrize(
    "wrong", [{"k1": 0}, {"k2": 21}, {"k2": 0}, {"photos": 19}, {"weight": 1.1}, {"weight": float("nan")}]
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="re-ranking"):
        KReciprocal(**wrong)  # type: ignore[arg-type]


def test_embeddings_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        k_reciprocal(torch.tensor([[float("nan")]]), torch.ones(2, 1), "euclidean")
