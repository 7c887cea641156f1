"""The index of the store `lancedb`, against plain loops in float64."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from made_stores import opened, require
from siamesekit.components.stores import lancedb
from siamesekit.components.stores.lancedb import partitions_of

RANDOM = np.random.default_rng(5)
CENTRES = RANDOM.normal(size=(60, 16))
ROWS = (np.repeat(CENTRES, 20, 0) + 0.8 * RANDOM.normal(size=(1200, 16))).astype(np.float32)
QUERIES = (CENTRES[:20] + 0.8 * RANDOM.normal(size=(20, 16))).astype(np.float32)
INDEXED = {"exact": False, "index_from": 300}


@pytest.fixture(autouse=True)
def installed() -> None:
    require("lancedb")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """A store with an index of 800 rows."""
    made = opened("lancedb", tmp_path, dimensions=16, **INDEXED)
    made.add(numbers(800), ROWS[:800])
    made.settle()
    assert [index.name for index in made._table.list_indices()] == ["ivf-pq-2"]
    yield made
    made.close()


def numbers(count: int, first: int = 1) -> NDArray[np.int64]:
    return np.arange(first, first + count, dtype=np.int64)


def far(query: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distances in float64."""
    return np.array([np.sqrt(((query.astype(np.float64) - row.astype(np.float64)) ** 2).sum()) for row in rows])


def exact(query: NDArray[np.float32], rows: NDArray[np.float32], k: int) -> list[int]:
    """Ids of the nearest by a sort."""
    return (1 + np.argsort(far(query, rows), kind="stable")[:k]).tolist()


@pytest.mark.medium
def test_candidates_have_their_exact_distances_and_order(store: Any) -> None:
    found = store.search(QUERIES, 10)
    for query, ids, distances in zip(QUERIES, found.ids, found.distances, strict=True):
        expected = far(query, ROWS[ids - 1])
        np.testing.assert_allclose(distances, expected, rtol=1e-5)
        assert (np.diff(expected) >= 0).all()


def test_all_partitions_and_enough_candidates_give_the_exact_nearest(store: Any) -> None:
    store.probes, store.refine = 2, 100
    found = store.search(QUERIES, 10)
    assert found.ids.tolist() == [exact(query, ROWS[:800], 10) for query in QUERIES]


def test_recall_grows_with_the_candidates(store: Any) -> None:
    wanted = [set(exact(query, ROWS[:800], 10)) for query in QUERIES]
    recall = {}
    for refine in (1, 4):
        store.probes, store.refine = 2, refine
        ids = store.search(QUERIES, 10).ids
        recall[refine] = np.mean([len(a & set(b.tolist())) / 10 for a, b in zip(wanted, ids, strict=True)])
    assert recall[1] < recall[4] and recall[4] > 0.9


def test_recall_grows_with_the_partitions_that_are_searched(store: Any) -> None:
    """A search reads the probed partitions only."""
    wanted = [set(exact(query, ROWS[:800], 10)) for query in QUERIES]
    recall = {}
    for probes in (1, 2):
        store.probes, store.refine = probes, 100
        ids = store.search(QUERIES, 10).ids
        recall[probes] = np.mean([len(a & set(b.tolist())) / 10 for a, b in zip(wanted, ids, strict=True)])
    assert recall[1] < recall[2] == 1


@pytest.mark.medium
def test_new_rows_are_found_before_and_after_they_are_in_the_index(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store._table.index_stats("ivf-pq-2").num_unindexed_rows == 0
    store.add(numbers(200, 801), ROWS[800:1000])
    assert store._table.index_stats("ivf-pq-2").num_unindexed_rows == 200
    for waiting in (201, 200):
        monkeypatch.setattr(lancedb, "WAITING", waiting)
        store.settle()
        assert store._table.index_stats("ivf-pq-2").num_unindexed_rows == (200 if waiting == 201 else 0)
        assert store.search(ROWS[800:1000], 1).ids[:, 0].tolist() == numbers(200, 801).tolist()
    assert store.count() == 1000


def test_rows_of_another_process_are_seen(store: Any, tmp_path: Path) -> None:
    other = opened("lancedb", tmp_path, dimensions=16, **INDEXED)
    assert len(other.ids()) == 800
    store.add(numbers(200, 801), ROWS[800:1000])
    assert other.ids().tolist() == numbers(1000).tolist()
    assert other.search(ROWS[800:1000], 1).ids[:, 0].tolist() == numbers(200, 801).tolist()
    other.remove(numbers(1))
    assert store.ids().tolist() == numbers(999, 2).tolist()
    other.close()


def test_a_search_counts_the_rows_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, count = [0], store._table.count_rows

    def counted() -> int:
        calls[0] += 1
        return int(count())

    monkeypatch.setattr(lancedb, "AT_ONCE", 4)
    monkeypatch.setattr(store._table, "count_rows", counted)
    store.search(QUERIES, 3)
    assert calls == [1]


def test_removed_rows_are_not_found_in_the_index(store: Any) -> None:
    gone = store.search(QUERIES[:1], 5).ids[0]
    store.remove(np.sort(gone))
    assert not set(store.search(QUERIES[:1], 20).ids[0].tolist()) & set(gone.tolist())


def test_a_condition_that_leaves_few_rows_is_searched_beyond_the_probes(store: Any) -> None:
    store.probes, store.refine = 1, 100
    allowed = np.sort(np.random.default_rng(1).choice(numbers(800), 30, replace=False))
    found = store.search(QUERIES, 30, allowed)
    for query, ids in zip(QUERIES, found.ids, strict=True):
        assert ids.tolist() == allowed[np.argsort(far(query, ROWS[allowed - 1]), kind="stable")].tolist()


def test_few_rows_have_no_index_and_many_more_get_a_new_one(tmp_path: Path) -> None:
    store = opened("lancedb", tmp_path, dimensions=16, exact=False, index_from=600)
    store.add(numbers(599), ROWS[:599])
    store.settle()
    assert list(store._table.list_indices()) == []
    store.add(numbers(601, 600), ROWS[599:])
    store.settle()
    assert [index.name for index in store._table.list_indices()] == ["ivf-pq-4"]
    store.close()
    store = opened("lancedb", tmp_path, dimensions=16, exact=False, index_from=600, partitions=3)
    store.settle()
    assert [index.name for index in store._table.list_indices()] == ["ivf-pq-3"]
    store.close()


def test_partitions_are_about_the_root_of_the_rows() -> None:
    for rows in (256, 3_000, 65_536, 1_000_000, 5_000_000):
        partitions = partitions_of(rows)
        assert partitions.bit_count() == 1 and partitions <= min(np.sqrt(rows), max(1, rows / 256)) < 2 * partitions


MAKING = """
import sys
import numpy as np
from pathlib import Path
from siamesekit.registry import STORES
rows = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
for number in range(1000):
    store = STORES.build("lancedb", folder=Path(sys.argv[1]), collection="rows", dimensions=16, distance="euclidean",
                         exact=False, index_from=300, partitions=4 + number % 4)
    if not store.count():
        store.add(np.arange(1, 4001), rows)
        print("added", flush=True)
    store.settle()
"""


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_makes_an_index_loses_no_row(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
    for wait in (0.05, 0.7):
        child = subprocess.Popen([sys.executable, "-c", MAKING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        if wait == 0.05:
            assert child.stdout is not None and child.stdout.readline() == "added\n"
        time.sleep(wait)
        child.kill()
        child.wait()
        store = opened("lancedb", tmp_path, dimensions=16, **INDEXED)
        assert store.ids().tolist() == numbers(4000).tolist()
        assert store.search(rows[:50], 1).ids[:, 0].tolist() == numbers(50).tolist()
        store.settle()
        assert [index.name for index in store._table.list_indices()] == ["ivf-pq-8"]
        store.close()
