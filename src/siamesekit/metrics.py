"""Metrics of embeddings, a value per query, so that means and intervals are the caller's.

Definitions, where usage differs: a query's candidates are all other photos; the R relevant ones are those of its
own individual, and a query without any is left out (NaN). Of equal distances the photo of lower index ranks first.
Where there are fewer than k other photos, the missing ranks count as misses. Photos rank by distance as numbers do, at
an infinite distance after all finite ones, and at one that is NaN last (`siamesekit.retrieval`). What has no distance
is not found: a photo that ranks by NaN, such as any photo for a query whose embedding is NaN, is a miss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.distances.distance import DistanceLike, as_distance
from siamesekit.errors import ComponentError
from siamesekit.labels import Labels, label_array, labels_of
from siamesekit.retrieval import nearest

RANKS = (1, 5, 10)
"""The k at which precision, recall and average precision are taken."""
NEIGHBOURS = 1 << 23
"""Neighbours held at a time."""
PER_QUERY = 1024
"""Queries whose metrics are computed at a time, in cache."""

Floats = NDArray[np.float64]


class RetrievalMetrics(NamedTuple):
    """Values per query, float64 `[N]`, NaN for a query without a relevant photo.

    Attributes:
        precision_at_1: 1 where the nearest other photo is of the same individual, else 0.
        map_at_r: average precision over the first R ranks (Musgrave, Belongie, Lim 2020, arXiv:2003.08505): the
            precision at each of them that is a hit, summed, divided by R.
        r_precision: share of hits among the first R ranks.
        reciprocal_rank: 1 / rank of the first hit, 0 where there is none among the first max(k) ranks; its mean is
            the MRR at max(k).
        precision_at: by k, share of hits among the first k ranks; divided by k, also where R < k.
        recall_at: by k, 1 where there is a hit among the first k ranks, else 0, as in cumulative match curves (CMC);
            not the share of the R that is found.
        average_precision_at: by k, the precision at each of the first k ranks that is a hit, summed, divided by
            min(R, k), which is the most that can be; its mean is the MAP at k.
    """

    precision_at_1: Floats
    map_at_r: Floats
    r_precision: Floats
    reciprocal_rank: Floats
    precision_at: dict[int, Floats]
    recall_at: dict[int, Floats]
    average_precision_at: dict[int, Floats]


def retrieval(
    embeddings: Tensor, labels: Labels, distance: DistanceLike, ranks: tuple[int, ...] = RANKS
) -> RetrievalMetrics:
    """Rank for each photo the nearest others: embeddings `[N, D]`, labels `[N]`, on one device or two.

    Only as many ranks as a query needs are sought, max(R, max k); memory does not grow with N².

    Args:
        embeddings: of all photos.
        labels: their individuals.
        distance: what ranks: a distance, its name, or a table with its name and options.
        ranks: the k, each at least 1.

    >>> from siamesekit.distances.euclidean import euclidean
    >>> place = torch.tensor([[0.0], [1.0], [3.0], [3.5]])  # on a line
    >>> figures = retrieval(place, torch.tensor([5, 5, 8, 8]), euclidean, ranks=(1, 2))
    >>> figures.precision_at_1
    array([1., 1., 1., 1.])
    >>> figures.precision_at[2]
    array([0.5, 0.5, 0.5, 0.5])
    """
    distance = as_distance(distance)
    labels = labels_of(embeddings, labels)
    _, individual, photos = labels.unique(return_inverse=True, return_counts=True)
    relevant = photos[individual] - 1
    table = torch.full((len(labels), 4 + 3 * len(ranks)), torch.nan, dtype=torch.float64)
    needed = relevant.clamp_min(max(ranks))
    octave = needed.double().log2().ceil()  # queries that need about as many ranks are ranked together
    for group in octave[relevant > 0].unique().tolist():
        rows = ((octave == group) & (relevant > 0)).nonzero()[:, 0]
        most = int(needed[rows].max())
        for some in rows.split(max(1, NEIGHBOURS // most)):
            found = nearest(embeddings[some], embeddings, most, distance, own=some)
            hits = ((labels[found.index] == labels[some, None]) & ~found.distance.isnan()).cpu()
            table[some.cpu()] = per_query(hits, relevant[some].cpu(), ranks)
    first, columns = table[:, :4].T.numpy(), table[:, 4:].T.numpy()
    by_k = (dict(zip(ranks, columns[i::3], strict=True)) for i in range(3))
    return RetrievalMetrics(*first, *by_k)


def per_query(hits: Tensor, relevant: Tensor, ranks: tuple[int, ...]) -> Tensor:
    """The metrics of queries, from which of their nearest are hits: bool `[Q, K]`, K at least R and max k if possible.

    Args:
        hits: by rank, the nearest first.
        relevant: int64 `[Q]`, R of each query, at least 1.
        ranks: the k.

    Returns:
        float64 `[Q, 4 + 3 · len(ranks)]`: precision at 1, MAP@R, R-precision, reciprocal rank, and for each k
        precision, recall and average precision.
    """
    result = []
    for some, of in zip(hits.split(PER_QUERY), relevant.split(PER_QUERY), strict=True):
        hit, rank = some.double(), torch.arange(1, some.shape[1] + 1)
        within_r = rank <= of[:, None]
        cumulative = hit.cumsum(dim=1)
        gain = cumulative / rank * hit
        reciprocal = torch.where(rank <= max(ranks), hit / rank, 0).amax(dim=1)
        columns = [hit[:, 0], (gain * within_r).sum(dim=1) / of, (hit * within_r).sum(dim=1) / of, reciprocal]
        for k in ranks:
            found = cumulative[:, min(k, some.shape[1]) - 1]
            columns += [found / k, (found > 0).double(), gain[:, :k].sum(dim=1) / of.clamp_max(k)]
        result.append(torch.stack(columns, dim=1))
    return torch.cat(result)


def triplet_accuracy(d_ap: Tensor, d_an: Tensor) -> Floats:
    """1 where the positive is nearer, strictly, else 0: `[T]`, `[T]` → float64 `[T]`. NaN is farther than all numbers.

    >>> triplet_accuracy(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 2.0]))
    array([1., 0., 0.])
    """
    return ((d_ap < d_an) | (d_an.isnan() & ~d_ap.isnan())).double().cpu().numpy()


class Interval(NamedTuple):
    """A figure and its bootstrap interval; low and high are None with fewer than two individuals."""

    value: float
    low: float | None
    high: float | None


def mean_with_interval(
    values: Floats,
    individuals: Labels,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """The mean of values, with a percentile bootstrap interval over *individuals*.

    Photos of one individual are not independent, so whole individuals are drawn with replacement, each with all
    its values (Davison and Hinkley 1997, section 3.8).

    Args:
        values: float64 `[N]`; NaN is left out.
        individuals: `[N]`, whose value each is.
        confidence: 0.95 for the 2.5 % and 97.5 % quantiles.
        resamples: how often individuals are drawn.
        rng: draws them.
    """
    individuals, there = label_array(individuals), ~np.isnan(values)
    if len(individuals) != len(values):
        raise ComponentError(f"individuals do not fit: {len(values)} values and {len(individuals)} individuals")
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
