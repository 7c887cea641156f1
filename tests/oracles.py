"""Reference implementations that several test files compare with: plain loops over definitions, with NumPy or autograd.

Nothing here calls what it is the reference of: distances are written out, triplets are enumerated, rankings are sorted.
`[N]` labels are the individuals of N photos, as a list, an array or a tensor; `d` is the dimension of embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from siamesekit.components.tuples import Pairs, Triplets

Floats = NDArray[np.float64]
Labels = Sequence[int] | NDArray[np.int64] | Tensor
Apart = Callable[[Tensor, Tensor], Tensor]
"""A distance of two embeddings `[d]`."""


def is_triplet(labels: Labels, anchor: int, positive: int, negative: int) -> bool:
    """Whether the positive is another photo of the anchor's individual, and the negative one of another: labels [N]."""
    return bool(anchor != positive and labels[anchor] == labels[positive] and labels[anchor] != labels[negative])


def triplets_of(labels: Labels) -> list[tuple[int, int, int]]:
    """All triplets (anchor, positive, negative) of labels [N], by a triple loop in its order."""
    individuals = [int(label) for label in labels]
    every = range(len(individuals))
    return [(a, p, n) for a, p, n in product(every, every, every) if is_triplet(individuals, a, p, n)]


def every_triplet(labels: Labels) -> Triplets:
    """All triplets of labels [N] as indices: anchor, positive and negative, int64 [T] each."""
    return Triplets(*torch.tensor(triplets_of(labels), dtype=torch.int64).reshape(-1, 3).T)


def ordered_pairs(labels: Labels, same: bool) -> list[tuple[int, int]]:
    """All (i, j) of two photos, both ways round, of one individual or of two: labels [N]."""
    every = range(len(labels))
    return [(i, j) for i, j in product(every, every) if i != j and bool(labels[i] == labels[j]) == same]


def positive_pairs(labels: Labels) -> list[tuple[int, int]]:
    """All (i, j), i < j, of two photos of one individual: labels [N]."""
    return [(i, j) for i, j in ordered_pairs(labels, same=True) if i < j]


def every_pair(labels: Labels) -> Pairs:
    """All positive and all negative pairs of labels [N] as indices, both ways round, int64 [P] and [Q]."""
    positive, negative = (torch.tensor(ordered_pairs(labels, same)).reshape(-1, 2).T for same in (True, False))
    return Pairs(*positive.long(), *negative.long())


def anchors_of(labels: Sequence[int]) -> list[tuple[int, list[int], list[int]]]:
    """Each anchor that has both, its positives and its negatives: labels [N]."""
    found = []
    for a, own in enumerate(labels):
        positives = [p for p, label in enumerate(labels) if label == own and p != a]
        negatives = [n for n, label in enumerate(labels) if label != own]
        if positives and negatives:
            found.append((a, positives, negatives))
    return found


def squared_distances(embeddings: ArrayLike, others: ArrayLike | None = None) -> Floats:
    """The squared Euclidean distances [N, M] of embeddings [N, d] from others [M, d], or from themselves."""
    a = np.asarray(embeddings, dtype=np.float64)
    b = a if others is None else np.asarray(others, dtype=np.float64)
    squares: Floats = (a[:, None] - b[None]) ** 2
    return squares.sum(-1)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """The squared Euclidean distance of two embeddings [d], with gradient."""
    return ((a - b) ** 2).sum()


def ranked_right(distances: ArrayLike, triplets: Iterable[Iterable[int]]) -> list[bool]:
    """For each triplet (a, p, n), whether the positive is nearer than the negative: distances [N, N]."""
    d = np.asarray(distances)
    return [bool(d[a, p] < d[a, n]) for a, p, n in triplets]


def triplet_losses(
    embeddings: Tensor, triplets: Triplets, margin: float, hinge: str = "linear", swap: bool = False
) -> list[Tensor]:
    """The losses of triplets by squared Euclidean distance, one at a time, with gradient: embeddings [N, d]."""
    losses = []
    for a, p, n in zip(*(index.tolist() for index in triplets), strict=True):
        anchor, positive, negative = embeddings[a], embeddings[p], embeddings[n]
        d_an = squared_distance(anchor, negative)
        if swap:
            d_an = torch.minimum(d_an, squared_distance(positive, negative))
        violation = squared_distance(anchor, positive) - d_an + margin
        if hinge == "soft":
            losses.append(violation.relu() + torch.log1p(torch.exp(-violation.abs())))
        else:
            losses.append(violation.relu() ** (2 if hinge == "squared" else 1))
    return losses


def info_nce_losses(embeddings: Tensor, pairs: Pairs, temperature: float, distance: Apart) -> list[Tensor]:
    """The InfoNCE losses of the positive pairs by their definition, with gradient: embeddings [N, d]."""
    losses = []
    for a, p in zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True):
        own = torch.exp(-distance(embeddings[a], embeddings[p]) / temperature)
        everything = own
        for b, n in zip(pairs.other_anchor.tolist(), pairs.negative.tolist(), strict=True):
            if a == b:
                everything = everything + torch.exp(-distance(embeddings[a], embeddings[n]) / temperature)
        losses.append(-torch.log(own / everything))
    return losses


def rank_key(distance: float) -> tuple[bool, float]:
    """By what distances are ranked: as numbers, and what is no number after all of them."""
    return (True, 0.0) if math.isnan(distance) else (False, float(distance))


def batch_hard_triplets(distances: ArrayLike, labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Each anchor with its farthest positive and its nearest negative: distances [N, N], labels [N]."""
    d = [[rank_key(value) for value in row] for row in np.asarray(distances).tolist()]
    return [
        (a, max(positives, key=lambda p: d[a][p]), min(negatives, key=lambda n: d[a][n]))
        for a, positives, negatives in anchors_of(labels)
    ]


def semi_hard_triplets(distances: ArrayLike, labels: Sequence[int]) -> list[tuple[int, int, tuple[bool, float]]]:
    """Each positive pair and the rank key of its negative's distance, the nearest beyond the positive or else the
    farthest: distances [N, N], labels [N].
    """
    d = [[rank_key(value) for value in row] for row in np.asarray(distances).tolist()]
    expected = []
    for a, positives, negatives in anchors_of(labels):
        for p in positives:
            beyond = [d[a][n] for n in negatives if d[a][n] > d[a][p]]
            expected.append((a, p, min(beyond) if beyond else max(d[a][n] for n in negatives)))
    return expected


def easy_positive_triplets(distances: ArrayLike, labels: Sequence[int], kind: str) -> list[tuple[int, int, int]]:
    """Each anchor with its nearest positive and its "hard", "semi-hard" or "easy" negative, the first of equally far
    ones: distances [N, N], labels [N].
    """
    d = [[rank_key(value) for value in row] for row in np.asarray(distances).tolist()]
    expected = []
    for a, positives, negatives in anchors_of(labels):
        p = min(positives, key=lambda each: d[a][each])
        if kind == "easy":
            expected.append((a, p, max(negatives, key=lambda n: d[a][n])))
            continue
        if kind == "semi-hard":
            lost = d[a][p][0]  # the positive's distance is no number: a negative stays, so that the loss tells of it
            negatives = [n for n in negatives if lost or d[a][n] > d[a][p]]
        if negatives:
            expected.append((a, p, min(negatives, key=lambda n: d[a][n])))
    return expected


def ranked(distances: Sequence[float], without: int | None = None) -> list[int]:
    """The indices of a row of distances [N], nearest first, of equal ones the lower index first, NaN last."""
    others = [i for i in range(len(distances)) if i != without]
    return sorted(others, key=lambda i: (rank_key(distances[i]), i))


def retrieval_figures(distances: ArrayLike, labels: Labels, query: int, ranks: Sequence[int] = (1,)) -> list[float]:
    """Figures of one query by their definitions, of distances [N, N] and labels [N], NaN where nothing is relevant:
    precision at 1, MAP@R, R-precision, the reciprocal rank up to the largest of `ranks`, and at each of them precision,
    recall (any hit) and average precision.
    """
    order = ranked(np.asarray(distances)[query].tolist(), without=query)
    hits = [bool(labels[i] == labels[query]) for i in order]
    relevant = sum(hits)
    if relevant == 0:
        return [math.nan] * (4 + 3 * len(ranks))

    def gain(k: int) -> float:
        return sum(sum(hits[:rank]) / rank for rank in range(1, min(k, len(hits)) + 1) if hits[rank - 1])

    first = hits.index(True) + 1
    figures = [float(hits[0]), gain(relevant) / relevant, sum(hits[:relevant]) / relevant]
    figures.append(1 / first if first <= max(ranks) else 0.0)
    for k in ranks:
        figures += [sum(hits[:k]) / k, float(any(hits[:k])), gain(k) / min(relevant, k)]
    return figures


def nearest_by_sort(
    queries: Tensor, gallery: Tensor, k: int, distance: Apart, own: Any = None
) -> tuple[Tensor, Tensor]:
    """Index and distance [Q, k] of the k nearest of a gallery [N, d] to each query [Q, d], all distances row by row and
    sorted; `own[q]` is left out for query q.
    """
    index, values = [], []
    for number, query in enumerate(queries):
        row = distance(query.expand_as(gallery), gallery).tolist()
        best = ranked(row, None if own is None else int(own[number]))[:k]
        index.append(best)
        values.append([row[i] for i in best])
    shape = (len(queries), len(index[0]) if index else 0)
    return torch.tensor(index, dtype=torch.int64).view(shape), torch.tensor(values, dtype=gallery.dtype).view(shape)
