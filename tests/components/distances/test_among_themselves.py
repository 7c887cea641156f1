"""Photos searched among themselves, each product once: as a full sort says, whatever the limits, blocks and threads."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import threadpoolctl
import torch
from torch import Tensor

from hard_embeddings import CASES, normal
from oracles import nearest_by_sort
from siamesekit.components.distances import among_themselves
from siamesekit.components.distances import nearest as retrieval
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance, RanksAs
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.nearest import Neighbours, PreparedGallery, nearest
from siamesekit.components.distances.scan import mutual_scan, prepare
from siamesekit.hardware.cpu import one_thread

DISTANCES = [Euclidean(), Cosine(), Dot()]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and tiles so small that a few hundred photos have many of them."""
    for constant, value in (("BLOCK", 32), ("TILE", 96), ("LEAST", 1), ("NEIGHBOURS", 1)):
        monkeypatch.setattr(among_themselves, constant, value)


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether each query that was searched among the gallery's own photos was decided there."""
    known: list[bool] = []
    search = PreparedGallery._among_themselves

    def counted(self: PreparedGallery, found: Neighbours, search_: retrieval._Search, *rest: Any) -> Tensor:
        left = search(self, found, search_, *rest)
        known.extend(torch.isin(torch.arange(len(search_.queries)), left).logical_not().tolist())
        return left

    monkeypatch.setattr(PreparedGallery, "_among_themselves", counted)
    yield known


def searched(embeddings: Tensor, own: Tensor, k: int, distance: Distance) -> Neighbours:
    return nearest(embeddings[own], embeddings, k, distance, own, bf16=False)


def assert_sorted(found: Neighbours, embeddings: Tensor, own: Tensor, k: int, distance: Distance) -> None:
    index, far = nearest_by_sort(embeddings[own], embeddings, k, distance, own)
    assert torch.equal(found.index, index)
    assert torch.equal(found.distance, far)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("case", CASES)
def test_neighbours_are_those_of_a_full_sort(case: str, distance: Distance, decided: list[bool]) -> None:
    embeddings = CASES[case]()
    own = torch.arange(len(embeddings))
    for k in (60, 1, 7):
        decided.clear()
        assert_sorted(searched(embeddings, own, k, distance), embeddings, own, k, distance)
    if case in ("normal", "unit"):
        assert len(decided) == len(embeddings)
        assert np.mean(decided) > 0.97


@pytest.mark.medium
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("double", [False, True])
def test_some_of_the_photos_may_be_queries_in_any_order(distance: Distance, double: bool, decided: list[bool]) -> None:
    embeddings = normal(500, 12, dtype=torch.float64 if double else torch.float32)
    for queries in (130, 250, 487):
        own = torch.from_numpy(np.random.default_rng(queries).permutation(max(250, queries))[:queries])
        decided.clear()
        assert_sorted(searched(embeddings, own, 9, distance), embeddings, own, 9, distance)
        assert len(decided) == queries
        assert np.mean(decided) > 0.9
    embeddings[:250] *= 3  # the other photos are nearer
    own = torch.arange(250)
    assert_sorted(searched(embeddings, own, 9, distance), embeddings, own, 9, distance)


@pytest.mark.medium
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_matter(threads: int, decided: list[bool]) -> None:
    embeddings, own, before = normal(400, 8), torch.arange(400), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = searched(embeddings, own, 20, Euclidean())
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert decided
    assert_sorted(found, embeddings, own, 20, Euclidean())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("rank", [1, 4])
def test_limits_that_were_too_low_leave_queries_undecided(
    rank: int, decided: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(among_themselves._Lists, "_rank", lambda self, seen: rank)
    embeddings, own = normal(300, 24), torch.arange(300)
    found = searched(embeddings, own, 30, Euclidean())
    assert np.mean(decided) < 0.5
    assert_sorted(found, embeddings, own, 30, Euclidean())


@pytest.mark.usefixtures("small")
def test_lists_without_room_leave_queries_undecided(decided: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(among_themselves, "_room", lambda k: k + 1)
    embeddings, own = normal(300, 24), torch.arange(300)
    found = searched(embeddings, own, 5, Euclidean())
    assert 0 < np.mean(decided) < 1
    assert_sorted(found, embeddings, own, 5, Euclidean())


@pytest.mark.usefixtures("small")
def test_equal_distances_to_most_photos_end_the_search_early(
    decided: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    block = among_themselves._Lists._block

    def counted(self: among_themselves._Lists, tile: among_themselves._Tile, *rest: Any) -> among_themselves._Near:
        rows.append(tile.start)
        return block(self, tile, *rest)

    monkeypatch.setattr(among_themselves._Lists, "_block", counted)
    embeddings, own = torch.eye(300), torch.arange(300)
    found = searched(embeddings, own, 5, Euclidean())
    assert not any(decided)
    assert max(rows) < 300 / 2
    assert_sorted(found, embeddings, own, 5, Euclidean())


@pytest.mark.usefixtures("small")
def test_what_has_no_finite_bound_is_searched_as_before(decided: list[bool]) -> None:
    embeddings, own = normal(200, 6), torch.arange(200)
    embeddings[17] = torch.inf
    found = searched(embeddings, own, 5, Euclidean())
    assert len(decided) == 200
    assert not any(decided)
    assert_sorted(found, embeddings, own, 5, Euclidean())


@pytest.mark.usefixtures("small")
def test_it_is_for_photos_of_the_gallery_each_once(decided: list[bool]) -> None:
    embeddings, own = normal(300, 6), torch.arange(300)
    nearest(embeddings, embeddings, 5, Euclidean(), bf16=False)  # each photo is its own neighbour
    nearest(embeddings.flip(0), embeddings, 5, Euclidean(), own, bf16=False)  # other embeddings
    nearest(embeddings[own // 2], embeddings, 5, Euclidean(), own // 2, bf16=False)
    nearest(embeddings, embeddings, 5, Manhattan(), own)
    nearest(embeddings, embeddings, 5, Euclidean(), own, bf16=True)
    assert not decided
    nearest(embeddings, embeddings, 5, Euclidean(), own, bf16=False)
    assert decided


def test_it_keeps_within_the_memory_and_to_many_photos() -> None:
    gallery = torch.empty(20_000, 64)
    lists, rows = 20_000 * (2 * 10 + 128) * 8, 20_000 * 64 * 4
    assert among_themselves.pays(20_000, gallery, 10, lists + rows)
    assert not among_themselves.pays(20_000, gallery, 10, lists + rows - 1)
    assert not among_themselves.pays(4_999, gallery, 10, 1 << 40)
    assert not among_themselves.pays(20_000, gallery, 2_000, 1 << 40)
    assert not among_themselves.pays(4_095, gallery[:4_095], 10, 1 << 40)


def test_each_product_is_computed_once_with_the_sizes_as_they_are(
    decided: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, photos = [], 5_000
    block = among_themselves._Lists._block

    def counted(
        self: among_themselves._Lists,
        tile: among_themselves._Tile,
        first: int,
        last: int,
        memory: among_themselves._Memory,
    ) -> among_themselves._Near:
        scores.append((tile.end - tile.start) * (last - first))
        return block(self, tile, first, last, memory)

    monkeypatch.setattr(among_themselves._Lists, "_block", counted)
    embeddings, own = normal(photos, 8), torch.arange(photos)
    found = searched(embeddings, own, 12, Euclidean())
    assert sum(scores) < 0.56 * photos**2
    assert np.mean(decided) > 0.99
    expected = nearest(embeddings, embeddings, 12, Euclidean(), own, bf16=False, memory=1 << 20)
    assert len(decided) == photos  # with so little memory the whole gallery is searched
    assert torch.equal(found.index, expected.index)
    assert torch.equal(found.distance, expected.distance)
    some = own[::100]
    assert_sorted(Neighbours(found.index[some], found.distance[some]), embeddings, some, 12, Euclidean())


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ranks_as", ["euclidean", "cosine", "dot"])
@pytest.mark.parametrize("case", CASES)
def test_the_margin_bounds_the_error_of_every_score_from_either_side(
    case: str, ranks_as: RanksAs, dtype: torch.dtype
) -> None:
    embeddings = CASES[case]().to(dtype)
    order = torch.from_numpy(np.random.default_rng(1).permutation(len(embeddings)))
    queries = len(order) - 20
    prepared = prepare(embeddings, ranks_as, dtype)
    scan = mutual_scan(embeddings, order, queries, prepared)
    assert scan is not None
    scores = (scan.turned(0, queries).double() @ scan.rows.double().T).numpy().astype(np.longdouble)
    exact = embeddings[order].numpy().astype(np.longdouble)
    if ranks_as == "cosine":
        exact = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-8)
    true = ((exact[:, None] - exact) ** 2).sum(-1) / 2 if ranks_as == "euclidean" else -exact @ exact.T
    margin = scan.margin.numpy() / 2
    for computed, right in ((scores, true[:queries]), (scores[:, :queries].T, true[:queries, :queries])):
        difference = computed - right
        error = difference - (difference.max(1, keepdims=True) + difference.min(1, keepdims=True)) / 2
        assert (np.abs(error).max(1) <= margin).all()


@pytest.mark.usefixtures("small")
def test_settings_of_threads_are_as_before_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("no distance")

    embeddings, own = normal(300, 6), torch.arange(300)
    with one_thread() as before:
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    limits = [each["num_threads"] for each in threadpoolctl.threadpool_info()]
    running = threading.active_count()
    monkeypatch.setattr(retrieval._Search, "keep", broken)
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="no distance"):
            searched(embeddings, own, 5, Euclidean())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [each["num_threads"] for each in threadpoolctl.threadpool_info()] == limits
    assert threading.active_count() == running
