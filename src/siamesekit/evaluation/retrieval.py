"""Retrieval metrics of embeddings, one value per query; the caller takes means and intervals.

Definitions, where usage differs: the gallery of a query are all other photos, or those that a `Protocol` names. The R
relevant ones show the query's individual; a query without any is left out (NaN). At equal distances, the photo of lower
index ranks first. If there are fewer than k gallery photos, the missing ranks count as misses. Infinite distances rank
after all finite ones, and NaN distances last (`siamesekit.nearest`). A photo at a NaN distance is a miss; if the
embedding of a query is NaN, all photos are misses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, DistanceLike, as_distance
from siamesekit.components.labels import Labels, labels_of
from siamesekit.evaluation.hit_ranks import hit_ranks
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.protocol import Protocol, ranked

RANKS = (1, 5, 10)
"""Values of k for precision, recall and average precision."""
NEIGHBOURS = 1 << 23
"""Maximum number of neighbours held at a time."""
PER_QUERY = 1024
"""Most queries whose metrics are computed at a time."""
RANKED = 1 << 17
"""Number of ranks whose metrics are computed at a time, so that they fit the CPU cache."""


class RetrievalMetrics(NamedTuple):
    """Values per query, float64 `[Q]`, NaN for a query without a relevant photo.

    Attributes:
        precision_at_1: 1 if the nearest neighbour shows the same individual, else 0.
        map_at_r: average precision over the first R ranks (Musgrave, Belongie, Lim 2020, arXiv:2003.08505): sum of the
            precisions at the hits among them, divided by R.
        r_precision: share of hits among the first R ranks.
        reciprocal_rank: 1 / rank of the first hit, 0 beyond rank max(k); its mean is the MRR at max(k).
        precision_at: by k, share of hits among the first k ranks, divided by k even if R < k.
        recall_at: by k, 1 if there is a hit among the first k ranks, else 0, as in cumulative match curves (CMC); not
            the share of the R relevant photos.
        average_precision_at: by k, sum of the precisions at the hits among the first k ranks, divided by min(R, k), its
            maximum; its mean is the MAP at k.
    """

    precision_at_1: Floats
    map_at_r: Floats
    r_precision: Floats
    reciprocal_rank: Floats
    precision_at: dict[int, Floats]
    recall_at: dict[int, Floats]
    average_precision_at: dict[int, Floats]


def retrieval_metrics(
    embeddings: Tensor,
    labels: Labels,
    distance: DistanceLike,
    ranks: tuple[int, ...] = RANKS,
    protocol: Protocol | None = None,
) -> RetrievalMetrics:
    """Compute retrieval metrics of queries: embeddings `[N, D]`, labels `[N]`, on one device or two.

    Only the first max(R, max k) ranks of a query are computed; memory does not grow with N².

    Args:
        embeddings: embeddings of all photos.
        labels: labels of all photos.
        distance: distance by which photos are ranked: a distance, its name, or a table with its name and options.
        ranks: values of k, each at least 1.
        protocol: queries and gallery; by default each photo is searched among all others.

    >>> from siamesekit.components.distances.euclidean import euclidean
    >>> place = torch.tensor([[0.0], [1.0], [3.0], [3.5]])  # on a line
    >>> figures = retrieval_metrics(place, torch.tensor([5, 5, 8, 8]), euclidean, ranks=(1, 2))
    >>> figures.precision_at_1
    array([1., 1., 1., 1.])
    >>> figures.precision_at[2]
    array([0.5, 0.5, 0.5, 0.5])
    """
    distance = as_distance(distance)
    labels = labels_of(embeddings, labels)
    searched = protocol or Protocol.leave_one_out(len(labels))

    def hits(rows: Tensor, k: int) -> Tensor:
        return hits_of(embeddings, labels, searched, rows, k, distance)

    return metrics_of(hits, searched.relevant(labels), ranks)


def metrics_of(
    hits: Callable[[Tensor, int], Tensor], relevant: Tensor, ranks: tuple[int, ...] = RANKS
) -> RetrievalMetrics:
    """Compute retrieval metrics from hits.

    Args:
        hits: function from queries, int64 `[q]`, and a number of ranks k to whether each of the first k ranks shows the
            query's individual, bool `[q, k]`.
        relevant: int64 `[Q]`, R of each query.
        ranks: values of k, each at least 1.
    """
    table = torch.full((len(relevant), 4 + 3 * len(ranks)), torch.nan, dtype=torch.float64)
    needed = relevant.clamp_min(max(ranks))
    octave = needed.double().log2().ceil()  # rank queries together that need a similar number of ranks
    for group in octave[relevant > 0].unique().tolist():
        rows = ((octave == group) & (relevant > 0)).nonzero()[:, 0]
        most = int(needed[rows].max())
        for some in rows.split(max(1, NEIGHBOURS // most)):
            table[some] = per_query(hits(some, most), relevant[some], ranks)
    first, columns = table[:, :4].T.numpy(), table[:, 4:].T.numpy()
    by_k = (dict(zip(ranks, columns[i::3], strict=True)) for i in range(3))
    return RetrievalMetrics(*first, *by_k)


def hits_of(embeddings: Tensor, labels: Tensor, protocol: Protocol, rows: Tensor, k: int, distance: Distance) -> Tensor:
    """Whether each of the first k ranks shows the query's individual, bool `[q, k]` on the CPU, nearest first.

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        labels: int64 `[N]`, their labels, on the device of the embeddings.
        protocol: queries and gallery.
        rows: int64 `[q]`, the queries, as positions in `protocol.queries`.
        k: number of ranks.
        distance: distance by which photos are ranked.
    """
    if protocol.apart is None and len(protocol.gallery) == len(embeddings):
        hits = hit_ranks(embeddings, labels, protocol.queries[rows], min(k, len(embeddings) - 1), distance)
        if hits is not None:
            return hits
    found = ranked(embeddings, protocol, rows, k, distance)
    asked = labels[protocol.queries[rows].to(labels.device), None]
    return ((labels[found.photo] == asked) & found.valid & ~found.distance.isnan()).cpu()


def per_query(hits: Tensor, relevant: Tensor, ranks: tuple[int, ...]) -> Tensor:
    """Compute the metrics of queries from their hits: bool `[Q, K]`, K at least R and max k if possible.

    Args:
        hits: whether the neighbour at each rank is a hit, nearest first.
        relevant: int64 `[Q]`, R of each query, at least 1.
        ranks: values of k.

    Returns:
        float64 `[Q, 4 + 3 · len(ranks)]`: precision at 1, MAP@R, R-precision, reciprocal rank, and for each k
        precision, recall and average precision.
    """
    result = []
    at_once = max(1, min(PER_QUERY, RANKED // max(1, hits.shape[1])))
    rank, first = torch.arange(1, hits.shape[1] + 1), max(ranks)
    for some, of in zip(hits.split(at_once), relevant.split(at_once), strict=True):
        hit = some.double()
        gain = hit.cumsum(dim=1)
        cumulative = gain[:, :first].clone()
        gain.div_(rank).mul_(hit)
        nearest = gain[:, :first].clone()
        reciprocal = (hit[:, :first] / rank[:first]).amax(dim=1)
        within_r = rank <= of[:, None]
        map_at_r, r_precision = (values.mul_(within_r).sum(dim=1) / of for values in (gain, hit))
        columns = [some[:, 0].double(), map_at_r, r_precision, reciprocal]
        for k in ranks:
            found = cumulative[:, min(k, some.shape[1]) - 1]
            columns += [found / k, (found > 0).double(), nearest[:, :k].sum(dim=1) / of.clamp_max(k)]
        result.append(torch.stack(columns, dim=1))
    return torch.cat(result)
