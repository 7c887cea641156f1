"""(f) Searching a catalogue of a million photos."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, side_by_side

TITLE = "searching a catalogue"
SIZE, QUICK_SIZE = 1_000_000, 4_000
DIMENSIONS, QUERIES, NEAREST = 256, 512, 12
BATCH = 16_384
"""Rows that are added at a time."""
HEADLINE = Headline(
    "With a million photos, 512 queries for 12 photos each take {0.ours} s of one core in the store `memory-mapped` "
    "and {0.theirs} s with faiss `IndexFlatIP` ({0.ratio}), at a peak of {1.ours} MiB and {1.theirs} MiB ({1.ratio}).",
    (("512 queries, s", "faiss IndexFlatIP"), ("1,000,000 × 256, peak MiB", "faiss IndexFlatIP")),
)
MEASURES = (
    f"{SIZE:,} random embeddings of length 1 and dimension {DIMENSIONS} ({SIZE * DIMENSIONS * 4 / 2**20:.0f} MiB), "
    f"added {BATCH:,} at a time; then {QUERIES} queries for the {NEAREST} nearest, three times in one process, of "
    "which the fastest counts; *first search* is the first of them. Ours is the store `memory-mapped` with the cosine "
    "distance: adding writes a file and flushes it to disk, and the first search looks for equal rows and bounds "
    "rounding errors. faiss keeps all rows in memory. All figures are seconds of processor time on one thread, so that "
    "other work on the machine counts little. Peak memory is that of the whole process, with the pages of the file "
    "that are mapped."
)


def measure(setting: Setting) -> Outcome:
    """Measure time and peak memory, and compare what is found."""
    n, peer = QUICK_SIZE if setting.quick else SIZE, "faiss IndexFlatIP"
    theirs, ours = side_by_side(
        setting,
        1 if setting.quick else 3,
        [
            Contender(peer, "benchmarks.stores:flat", {"n": n}, ("faiss",)),
            Contender("siamesekit", "benchmarks.stores:siamesekit", {"n": n}),
        ],
    )
    what = f"{n:,} × {DIMENSIONS}"
    rows = [
        Row("f", f"{QUERIES} queries, s", peer, theirs.best("seconds"), ours.best("seconds")),
        Row("f", f"{QUERIES} queries, first search, s", peer, theirs.best("first_s"), ours.best("first_s")),
        Row("f", f"{what}, adding, s", peer, theirs.best("add_s"), ours.best("add_s")),
        Row("f", f"{what}, peak MiB", peer, theirs.most("peak_mib"), ours.most("peak_mib")),
    ]
    notes = []
    if theirs.rounds and ours.rounds:
        each = [a["seconds"] / b["seconds"] for a, b in zip(theirs.rounds, ours.rounds, strict=False)]
        told = ", ".join(f"{ratio:.2f}" for ratio in each)
        notes.append(f"The ratio in each round, whose processes follow each other: {told}.")
        a, b = theirs.last("ids"), ours.last("ids")
        same = sum(x == y for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))
        notes.append(f"{same:,} of {QUERIES * NEAREST:,} places have the same photo.")
    return Outcome(rows, notes)


def siamesekit(n: int) -> dict[str, Any]:
    """The store `memory-mapped`."""
    _one_thread()
    import torch

    from siamesekit.registry import STORES

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        runtime: dict[str, Any] = {
            "folder": Path(folder),
            "collection": "rows",
            "dimensions": DIMENSIONS,
            "distance": "cosine",
        }
        store = STORES.build("memory-mapped", **runtime)
        added = sum(_seconds(partial(store.add, ids, rows)) for ids, rows in _batches(n))
        found = _searched(lambda: store.search(_unit(QUERIES, 1), NEAREST).ids - 1)
        store.drop()
    return {"add_s": added, **found}


def flat(n: int) -> dict[str, Any]:
    """The exact index of faiss."""
    _one_thread()
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIMENSIONS)
    added = sum(_seconds(partial(index.add, rows)) for _, rows in _batches(n))
    return {"add_s": added, **_searched(lambda: index.search(_unit(QUERIES, 1), NEAREST)[1])}


def _searched(search: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of searches, and what was found."""
    found: list[Any] = []
    seconds = [_seconds(lambda: found.append(search())) for _ in range(3)]
    return {"first_s": seconds[0], "seconds": min(seconds), "ids": found[-1].tolist()}


def _seconds(call: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def _batches(n: int) -> Iterator[tuple[Any, Any]]:
    """Ids and embeddings of each batch."""
    import numpy as np

    for start in range(0, n, BATCH):
        count = min(BATCH, n - start)
        yield np.arange(start + 1, start + 1 + count), _unit(count, 2 + start)


def _unit(count: int, seed: int) -> Any:
    """Random embeddings of length 1, float32 `[count, DIMENSIONS]`."""
    import numpy as np

    rows = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _one_thread() -> None:
    """One thread, also for libraries that are imported later."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
