"""The split by similarity: near-duplicates, by given embeddings, stay on one side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.splits.split import Split, Task
from siamesekit.data.splits.whole_groups import whole_groups
from siamesekit.errors import DataError

CHUNK = 1024
"""Photos whose similarities to all others are in memory at a time."""


def by_similarity(task: Task) -> Split:
    """Cluster the photos, and deal the clusters whole; an individual whose photos are one cluster trains.

    Raises:
        DataError: there are no embeddings.
    """
    embeddings = task.options.embeddings
    if embeddings is None:
        raise DataError('split.by = "similarity" needs embeddings of the photos: set split.embeddings')
    return whole_groups(task, clusters_of(embeddings, task.options.similarity))


def clusters_of(embeddings: NDArray[Any], similarity: float) -> NDArray[np.int64]:
    """Single-linkage clusters of embeddings `[N, D]`: the lowest index of each photo's cluster, int64 `[N]`.

    Two photos are in one cluster if their cosine similarity is at least `similarity`, or if a chain of such photos
    joins them. Time is O(N²), memory O(N).

    >>> clusters_of(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1], [-1.0, 0.0]]), 0.9).tolist()
    [0, 1, 0, 3]

    Raises:
        DataError: an embedding has no direction.
    """
    vectors = unit(embeddings)
    parent = list(range(len(vectors)))

    def root(photo: int) -> int:
        while parent[photo] != photo:
            parent[photo] = parent[parent[photo]]
            photo = parent[photo]
        return photo

    for start in range(0, len(vectors), CHUNK):
        near = vectors[start : start + CHUNK] @ vectors[start:].T >= similarity
        for one, other in zip(*np.nonzero(near), strict=True):
            if one < other:
                low, high = sorted((root(start + int(one)), root(start + int(other))))
                parent[high] = low
    return np.array([root(photo) for photo in range(len(vectors))], dtype=np.int64)


def near_to(queries: NDArray[Any], others: NDArray[Any], similarity: float) -> NDArray[np.bool_]:
    """Whether each of the embeddings `[Q, D]` has one among others `[N, D]` at least as similar: bool `[Q]`."""
    queries, others = unit(queries), unit(others)
    found = [
        (queries[start : start + CHUNK] @ others.T >= similarity).any(1) for start in range(0, len(queries), CHUNK)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


def unit(embeddings: NDArray[Any]) -> NDArray[np.float32]:
    """Embeddings `[N, D]` scaled to length 1, float32.

    Raises:
        DataError: an embedding is zero, NaN or infinite.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(vectors)} embeddings are zero, NaN or infinite, the first of them number "
            f"{bad[0] + 1}: they have no direction to compare"
        )
    scaled: NDArray[np.float32] = (vectors / length).astype(np.float32)
    return scaled
