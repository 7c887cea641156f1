"""What every store promises, against plain loops in float64: registered ones and a plugin's."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from made_stores import NAMES, PLUGIN, opened, require
from siamesekit.components.distances.distance import as_distance
from siamesekit.errors import ArtifactError, UserError
from siamesekit.gallery.search import Gallery, rank

WHOLE = np.random.default_rng(1).integers(-2, 3, (40, 8)).astype(np.float32)
"""Rows of small whole numbers: all sums are exact, and many distances are equal."""
NORMAL = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)


def numbers(count: int, first: int = 1) -> NDArray[np.int64]:
    return np.arange(first, first + count, dtype=np.int64)


def by_sort(
    query: NDArray[np.float32], ids: NDArray[np.int64], rows: NDArray[np.float32], metric: str
) -> list[tuple[float, int]]:
    """All rows in the order of their distances in float64, equal ones in the order of their ids."""
    q, r = query.astype(np.float64), rows.astype(np.float64)
    if metric == "euclidean":
        far = np.sqrt(((q - r) ** 2).sum(1))
    elif metric == "dot":
        far = -(r @ q)
    else:
        far = 1 - (r @ q) / np.linalg.norm(r, axis=1) / np.linalg.norm(q)
    return sorted(zip(far.tolist(), ids.tolist(), strict=True))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a store that can be opened here."""
    require(request.param, monkeypatch)
    return str(request.param)


@pytest.mark.medium
@pytest.mark.parametrize("metric", ["euclidean", "dot"])
def test_equal_distances_are_in_the_order_of_ids_also_across_the_last_place(
    name: str, metric: str, tmp_path: Path
) -> None:
    rows = np.concatenate([WHOLE, WHOLE[:3], WHOLE[:3]])
    store = opened(name, tmp_path, distance=metric)
    for start in range(0, len(rows), 17):
        store.add(numbers(len(rows))[start : start + 17], rows[start : start + 17])
    for k in (1, 2, 7, 30):
        found = store.search(WHOLE[:6], k)
        for query, ids, far in zip(WHOLE[:6], found.ids, found.distances, strict=True):
            expected = by_sort(query, numbers(len(rows)), rows, metric)[:k]
            assert [number for _, number in expected] == ids.tolist()
            np.testing.assert_allclose(far, [distance for distance, _ in expected], rtol=1e-6)
    store.close()


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dot"])
def test_the_nearest_are_those_of_a_sort_in_float64(name: str, metric: str, tmp_path: Path) -> None:
    store = opened(name, tmp_path, distance=metric)
    store.add(numbers(50, 5), NORMAL[:50])
    found = store.search(NORMAL[50:], 9)
    assert found.ids.dtype == np.int64 and found.ids.shape == found.distances.shape == (10, 9)
    for query, ids, far in zip(NORMAL[50:], found.ids, found.distances, strict=True):
        expected = by_sort(query, numbers(50, 5), NORMAL[:50], metric)[:9]
        assert [number for _, number in expected] == ids.tolist()
        np.testing.assert_allclose(far, [distance for distance, _ in expected], rtol=1e-4, atol=1e-6)
    store.close()


def test_only_allowed_ids_are_found(name: str, tmp_path: Path) -> None:
    store = opened(name, tmp_path)
    store.add(numbers(50), NORMAL[:50])
    allowed = np.array([2, 3, 5, 7, 11, 13, 49, 77], np.int64)  # 77 is not there
    there = allowed[:-1]
    found = store.search(NORMAL[50:53], 8, allowed)
    for query, ids, far in zip(NORMAL[50:53], found.ids, found.distances, strict=True):
        expected = [number for _, number in by_sort(query, there, NORMAL[there - 1], "euclidean")]
        assert ids.tolist() == [*expected, -1] and np.isinf(far[-1])
    assert store.search(NORMAL[:2], 3, np.empty(0, np.int64)).ids.tolist() == [[-1] * 3] * 2
    assert len(set(store.search(NORMAL[50:51], 50).ids[0].tolist())) == 50
    store.close()


def test_removed_rows_are_gone_and_can_come_back(name: str, tmp_path: Path) -> None:
    store = opened(name, tmp_path)
    store.add(numbers(20), NORMAL[:20])
    gone = np.array([1, 4, 20, 99], np.int64)
    store.remove(gone)
    left = np.setdiff1d(numbers(20), gone)
    assert store.ids().tolist() == left.tolist() and store.count() == 17
    ids = store.search(NORMAL[3:4], 17).ids[0].tolist()
    assert ids == [number for _, number in by_sort(NORMAL[3], left, NORMAL[left - 1], "euclidean")]
    store.add(np.array([4, 25], np.int64), NORMAL[[3, 24]])
    assert store.search(NORMAL[[3, 24]], 1).ids[:, 0].tolist() == [4, 25]
    assert store.ids().tolist() == sorted([*left.tolist(), 4, 25])
    store.close()


def test_what_was_added_is_there_when_the_store_is_opened_again(name: str, tmp_path: Path) -> None:
    store = opened(name, tmp_path)
    store.add(numbers(9), NORMAL[:9])
    store.remove(np.array([5], np.int64))
    before = store.search(NORMAL[50:], 8)
    store.close()
    store = opened(name, tmp_path)
    assert store.ids().tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
    after = store.search(NORMAL[50:], 8)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.distances, after.distances)
    store.drop()
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == []
    store = opened(name, tmp_path)
    assert store.count() == 0
    store.close()


def test_an_empty_store_finds_nothing_and_k_may_exceed_the_rows(name: str, tmp_path: Path) -> None:
    store = opened(name, tmp_path)
    assert store.count() == 0 and store.ids().tolist() == []
    nothing = store.search(NORMAL[:2], 4)
    assert nothing.ids.tolist() == [[-1] * 4] * 2 and np.isinf(nothing.distances).all()
    store.add(numbers(3), NORMAL[:3])
    found = store.search(NORMAL[:1], 5)
    assert sorted(found.ids[0, :3].tolist()) == [1, 2, 3] and found.ids[0, 3:].tolist() == [-1, -1]
    store.remove(numbers(3))
    assert store.search(NORMAL[:1], 2).ids.tolist() == [[-1, -1]]
    store.close()


def test_the_best_photos_of_each_individual_are_exact(name: str, tmp_path: Path) -> None:
    """k individuals are wanted, not k photos: one of them has most of the nearest photos."""
    random = np.random.default_rng(3)
    rows = np.concatenate([NORMAL[:1] + 0.01 * random.normal(size=(80, 8)), random.normal(size=(40, 8))])
    rows = rows.astype(np.float32)
    individuals = np.concatenate([np.zeros(80), 1 + np.arange(40) % 9]).astype(np.int64)
    store = opened(name, tmp_path)
    store.add(numbers(120), rows)

    def find(queries: torch.Tensor, k: int) -> tuple[NDArray[np.int64], torch.Tensor]:
        found = store.search(queries.numpy(), k)
        return found.ids - 1, torch.from_numpy(found.distances)

    gallery = Gallery(torch.from_numpy(rows), numbers(120), individuals, find)
    queries = np.concatenate([NORMAL[:1], NORMAL[50:52]])
    ranking = rank(torch.from_numpy(queries), gallery, as_distance("euclidean"), 6)
    for query, chosen, best, far in zip(queries, ranking.individuals, ranking.best, ranking.distances, strict=True):
        nearest: dict[int, tuple[float, int]] = {}
        for distance, number in by_sort(query, numbers(120), rows, "euclidean"):
            nearest.setdefault(int(individuals[number - 1]), (distance, number - 1))
        expected = list(nearest.items())[:6]
        assert chosen.tolist() == [individual for individual, _ in expected]
        assert best.tolist() == [photo for _, (_, photo) in expected]
        np.testing.assert_allclose(far, [distance for _, (distance, _) in expected], rtol=1e-5)
    store.close()


ADDING = """
import sys
import numpy as np
from pathlib import Path
from siamesekit.registry import STORES
if sys.argv[3]:
    from siamesekit import load_plugin_file
    load_plugin_file(Path(sys.argv[3]))
store = STORES.build(sys.argv[1], folder=Path(sys.argv[2]), collection="rows", dimensions=8, distance="euclidean")
print("open", flush=True)
for number in range(1, 100_000, 50):
    ids = np.arange(number, number + 50)
    store.add(ids, np.repeat(ids[:, None], 8, 1).astype(np.float32))
    print("added", flush=True)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_within_add_leaves_whole_rows(name: str, tmp_path: Path) -> None:
    plugin = str(PLUGIN) if name == "full-sort" else ""
    for calls, wait in ((0, 0.2), (1, 0.3), (5, 0.9)):  # an add may take 1 ms or, on a busy machine, a second
        place = tmp_path / str(calls)
        place.mkdir()
        child = subprocess.Popen(
            [sys.executable, "-c", ADDING, name, str(place), plugin], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(1 + calls)] == ["open\n"] + calls * ["added\n"]
        time.sleep(wait)
        child.kill()
        child.wait()
        store = opened(name, place)
        ids = store.ids()
        assert len(ids) >= 50 * calls
        assert ids.tolist() == numbers(len(ids)).tolist()
        for number in {1, len(ids) // 2, len(ids)} & set(ids.tolist()):
            found = store.search(np.full((1, 8), number, np.float32), 1)
            assert (found.ids[0, 0], found.distances[0, 0]) == (number, 0)
        missing = numbers(20, len(ids) + 1)
        store.add(missing, np.repeat(missing[:, None], 8, 1).astype(np.float32))
        assert store.ids().tolist() == numbers(len(ids) + 20).tolist()
        store.close()


@pytest.mark.parametrize("name", ["lancedb", "qdrant"])
def test_a_collection_of_another_form_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(name, monkeypatch)
    opened(name, tmp_path, dimensions=8).close()
    with pytest.raises(ArtifactError, match=r"(?s)collection|table rows in .* has .*dimension"):
        opened(name, tmp_path, dimensions=16)


@pytest.mark.parametrize(("name", "package"), [("lancedb", "lancedb"), ("qdrant", "qdrant_client")])
def test_without_its_package_a_store_says_what_to_install(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"pip install 'siamesekit\[{name}\]'"):
        opened(name, tmp_path)


@pytest.mark.parametrize("name", ["lancedb", "qdrant"])
def test_a_distance_that_a_store_does_not_know_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(name, monkeypatch)
    with pytest.raises(UserError, match=r"the model's is Manhattan\(\); choose --store memory-mapped"):
        opened(name, tmp_path, distance="manhattan")


def test_the_memory_mapped_store_knows_every_distance(tmp_path: Path) -> None:
    store = opened("memory-mapped", tmp_path, distance="manhattan")
    store.add(numbers(60), NORMAL)
    far = np.abs(NORMAL[:1].astype(np.float64) - NORMAL).sum(1)
    assert store.search(NORMAL[:1], 60).ids[0].tolist() == (1 + np.argsort(far, kind="stable")).tolist()
