"""Metrics of embeddings, a value per query, so that means and intervals are the caller's.

Definitions, where usage differs: a query's candidates are all other photos; the R relevant ones are those of its
own individual, and a query without any is left out (NaN). Of equal distances the photo of lower index ranks first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.distances.distance import Distance, pairwise

CHUNK = 512
"""Queries ranked at a time: memory is CHUNK × N distances."""

Floats = NDArray[np.float64]


class RetrievalMetrics(NamedTuple):
    """Values per query, float64 `[N]`, NaN for a query without a relevant photo.

    Attributes:
        precision_at_1: 1 where the nearest other photo is of the same individual, else 0.
        map_at_r: average precision over the first R ranks (Musgrave, Belongie, Lim 2020, arXiv:2003.08505).
    """

    precision_at_1: Floats
    map_at_r: Floats


def retrieval(embeddings: Tensor, labels: Tensor, distance: Distance) -> RetrievalMetrics:
    """Rank for each photo all others by distance: embeddings `[N, D]`, labels int64 `[N]`."""
    values = [
        ranked(pairwise(distance, embeddings[rows], embeddings), labels[rows], labels, rows)
        for rows in torch.arange(len(labels)).split(CHUNK)
    ]
    return RetrievalMetrics(*(np.concatenate(column) for column in zip(*values, strict=True)))


def ranked(distances: Tensor, query_labels: Tensor, labels: Tensor, self_index: Tensor) -> RetrievalMetrics:
    """Metrics of Q queries from their distances `[Q, N]` to N photos, of which `self_index` `[Q]` is the query."""
    distances = distances.clone()
    distances[torch.arange(len(self_index)), self_index] = torch.inf
    order = distances.argsort(dim=1, stable=True)[:, :-1]
    hits = (labels[order] == query_labels[:, None]).double()
    relevant = hits.sum(dim=1)
    ranks = torch.arange(1, hits.shape[1] + 1)
    precision = hits.cumsum(dim=1) / ranks
    within_r = ranks <= relevant[:, None]
    average = (precision * hits * within_r).sum(dim=1) / relevant
    first = torch.where(relevant > 0, hits[:, 0], torch.nan)
    return RetrievalMetrics(first.numpy(), average.numpy())


def triplet_accuracy(d_ap: Tensor, d_an: Tensor) -> Floats:
    """1 where d_ap < d_an, strictly, else 0: `[T]`, `[T]` → float64 `[T]`."""
    return (d_ap < d_an).double().numpy()


class Interval(NamedTuple):
    """A figure and its bootstrap interval; low and high are None with fewer than two individuals."""

    value: float
    low: float | None
    high: float | None


def mean_with_interval(
    values: Floats,
    individuals: NDArray[np.int64],
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """The mean of values, with a percentile bootstrap interval over *individuals*.

    Photos of one individual are not independent, so whole individuals are drawn with replacement, each with all
    its values (Davison and Hinkley 1997, section 3.8).

    Args:
        values: float64 `[N]`; NaN is left out.
        individuals: int64 `[N]`, whose value each is.
        confidence: 0.95 for the 2.5 % and 97.5 % quantiles.
        resamples: how often individuals are drawn.
        rng: draws them.
    """
    there = ~np.isnan(values)
    if not there.any():
        raise ValueError("no value is there to average")
    _, owner = np.unique(individuals[there], return_inverse=True)
    counts = np.bincount(owner)
    sums = np.bincount(owner, weights=values[there])
    drawn = rng.integers(len(counts), size=(resamples, len(counts)))
    return interval(
        sums.sum() / counts.sum(), lambda: sums[drawn].sum(1) / counts[drawn].sum(1), len(counts), confidence
    )


def interval(value: float, resample: Callable[[], Floats], individuals: int, confidence: float) -> Interval:
    """The percentile interval of resampled figures `[resamples]`, NaN left out; none below two individuals."""
    if individuals < 2:
        return Interval(float(value), None, None)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resample(), [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))
