"""The memory-mapped store: memory, rows of no photo, a row that was cut off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import peak_memory
from made_stores import opened

ROWS = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)


def test_ids_with_gaps_are_found_and_the_gaps_are_not(tmp_path: Path) -> None:
    store = opened("memory-mapped", tmp_path)
    ids = np.array([3, 4, 9, 200_000], np.int64)
    store.add(ids, ROWS[:4])
    assert store.ids().tolist() == ids.tolist()
    assert store.search(ROWS[:4], 1).ids[:, 0].tolist() == ids.tolist()
    assert store.search(ROWS[:1], 6).ids[0, 4:].tolist() == [-1, -1]


def test_a_row_that_was_cut_off_is_none_and_is_replaced(tmp_path: Path) -> None:
    store = opened("memory-mapped", tmp_path)
    store.add(np.arange(1, 11), ROWS[:10])
    store.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    store = opened("memory-mapped", tmp_path)
    assert store.ids().tolist() == list(range(1, 10))
    store.add(np.array([10, 11]), ROWS[9:11])
    assert store.search(ROWS[8:11], 1).ids[:, 0].tolist() == [9, 10, 11]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory")
def test_the_embeddings_are_not_copied_for_a_search(tmp_path: Path) -> None:
    """The rows as they are mapped, 128 MiB of scores and some for the bounds; a copy would be 195 MiB more."""
    code = (
        Path(peak_memory.__file__).read_text()
        + f"""
import numpy as np
from siamesekit.registry import STORES
def unit(count, seed):
    rows = np.random.default_rng(seed).standard_normal((count, 256), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
def store(name):
    return STORES.build("memory-mapped", folder=Path({str(tmp_path)!r}), collection=name, dimensions=256,
                        distance="cosine")
small, large = store("small"), store("large")
small.add(np.arange(1, 101), unit(100, 0))
small.search(unit(512, 1), 12)
for number in range(20):
    large.add(np.arange(10_000) + 10_000 * number + 1, unit(10_000, 2 + number))
before = peak_memory()
found = large.search(unit(512, 1), 12)
assert found.ids.min() > 0
print((peak_memory() - before) / 2**20)
"""
    )
    grown = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert grown < 195 + 128 + 110
