"""Figures of a network on the test photos, each with its interval over the individuals.

The trained network, the untrained network and plain pixels have the same figures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.components.labels import labels_of
from siamesekit.components.tuples import Triplets
from siamesekit.evaluation.full_ranking import FullRanking, all_hits, ranking_of
from siamesekit.evaluation.intervals import Bootstrap, Interval
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.ranking import triplet_accuracy, triplet_distances
from siamesekit.evaluation.retrieval import RetrievalMetrics, metrics_of, retrieval_metrics


class Figures(NamedTuple):
    """Figures of one network on the test photos: a mean over triplets, then means over queries.

    R is the number of gallery photos of the query's individual; these R photos are the hits (`evaluation.retrieval`).
    Queries without a hit are left out.

    Attributes:
        triplet_accuracy: share of triplets in which the positive is nearer than the negative; None without triplets.
        precision_at_1: share of queries whose nearest neighbour shows the same individual.
        map_at_r: average precision over the first R ranks.
        r_precision: share of hits among the first R ranks.
        mrr_at_10: reciprocal rank of the first hit, 0 beyond rank 10.
        recall_at_5: share of queries with a hit among the first 5 ranks.
        recall_at_10: share of queries with a hit among the first 10 ranks.
        precision_at_5: share of hits among the first 5 ranks.
        precision_at_10: share of hits among the first 10 ranks.
        map_at_5: average precision over the first 5 ranks, divided by min(R, 5).
        map_at_10: average precision over the first 10 ranks, divided by min(R, 10).
        mean_average_precision: average precision over all ranks (mAP); None if the gallery is too large to be sorted
            for each query (`full_ranking`).
        mrr: reciprocal rank of the first hit; None as above.
    """

    triplet_accuracy: Interval | None
    precision_at_1: Interval
    map_at_r: Interval
    r_precision: Interval
    mrr_at_10: Interval
    recall_at_5: Interval
    recall_at_10: Interval
    precision_at_5: Interval
    precision_at_10: Interval
    map_at_5: Interval
    map_at_10: Interval
    mean_average_precision: Interval | None = None
    mrr: Interval | None = None

    def as_json(self) -> dict[str, dict[str, float | None]]:
        """The known figures by name, as in evaluation.json."""
        return {name: figure._asdict() for name, figure in self._asdict().items() if figure is not None}


class Evaluated(NamedTuple):
    """Figures of one network, what they are means of, and its cumulative match curve.

    Attributes:
        figures: figures with intervals.
        per_query: retrieval metrics of each query.
        match_curve: share of queries with a hit among the first k ranks, k = 1 … 20; None if unknown.
    """

    figures: Figures
    per_query: RetrievalMetrics
    match_curve: list[float] | None


def evaluate(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    triplets: Triplets,
    distance: Distance,
    bootstrap: Bootstrap,
    protocol: Protocol | None = None,
) -> Evaluated:
    """Compute the figures of embeddings `[N, D]` with labels `[N]`, with intervals over the individuals.

    NaN distances rank last.

    Args:
        embeddings: embeddings of the test photos and of the gallery.
        labels: labels of these photos.
        triplets: triplets for the triplet accuracy, as indices into `embeddings`.
        distance: distance by which photos are ranked.
        bootstrap: how the intervals are computed.
        protocol: queries and gallery; by default each photo is searched among all others.
    """
    mean = bootstrap.mean
    protocol = protocol or Protocol.leave_one_out(len(labels))
    right = triplet_accuracy(*triplet_distances(embeddings, triplets, distance)) if len(triplets.anchor) else None
    per_query, whole = _ranked(embeddings, torch.from_numpy(labels), distance, protocol)
    asked = labels[protocol.queries.numpy()]
    figures = Figures(
        triplet_accuracy=None if right is None else mean(right, labels[triplets.anchor.numpy()]),
        precision_at_1=mean(per_query.precision_at_1, asked),
        map_at_r=mean(per_query.map_at_r, asked),
        r_precision=mean(per_query.r_precision, asked),
        mrr_at_10=mean(per_query.reciprocal_rank, asked),
        **{
            f"{name}_at_{k}": mean(by_k[k], asked)
            for name, by_k in (
                ("recall", per_query.recall_at),
                ("precision", per_query.precision_at),
                ("map", per_query.average_precision_at),
            )
            for k in (5, 10)
        },
        mean_average_precision=None if whole is None else mean(whole.average_precision, asked),
        mrr=None if whole is None else mean(whole.reciprocal_rank, asked),
    )
    return Evaluated(figures, per_query, None if whole is None else whole.match_curve())


def _ranked(
    embeddings: Tensor, labels: Tensor, distance: Distance, protocol: Protocol
) -> tuple[RetrievalMetrics, FullRanking | None]:
    """Retrieval metrics and whole rankings, from one search if the whole gallery is ranked."""
    hits = all_hits(embeddings, labels_of(embeddings, labels), distance, protocol)
    if hits is None:
        return retrieval_metrics(embeddings, labels, distance, protocol=protocol), None
    relevant = protocol.relevant(labels)
    return metrics_of(lambda rows, k: hits[rows, :k], relevant), ranking_of(hits, relevant)
