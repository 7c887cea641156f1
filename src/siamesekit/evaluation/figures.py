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
from siamesekit.components.tuples import Triplets
from siamesekit.evaluation.intervals import Interval, mean_with_interval
from siamesekit.evaluation.ranking import triplet_accuracy, triplet_distances
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.randomness import generator


class Figures(NamedTuple):
    """Figures of one network on the test photos: a mean over triplets, then means over queries.

    R is the number of other photos of the query's individual; these R photos are the hits (`evaluation.retrieval`).

    Attributes:
        triplet_accuracy: share of triplets in which the positive is nearer than the negative.
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
    """

    triplet_accuracy: Interval
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


def evaluate(
    embeddings: Tensor,
    labels: NDArray[np.int64],
    triplets: Triplets,
    distance: Distance,
    confidence: float,
    resamples: int,
    seed: int,
) -> Figures:
    """Compute the figures of embeddings `[N, D]` with labels `[N]`, with intervals over the individuals.

    NaN distances rank last.

    Args:
        embeddings: embeddings of the test photos.
        labels: labels of the test photos.
        triplets: triplets for the triplet accuracy, as indices into `embeddings`.
        distance: distance by which photos are ranked.
        confidence: confidence of the intervals, such as 0.95.
        resamples: number of bootstrap resamples.
        seed: seed of the run; all networks share the same resamples, so their figures are comparable.
    """

    def mean(values: NDArray[np.float64], owners: NDArray[np.int64]) -> Interval:
        return mean_with_interval(values, owners, confidence, resamples, generator(seed, "bootstrap"))

    right = triplet_accuracy(*triplet_distances(embeddings, triplets, distance))
    per_query = retrieval_metrics(embeddings, torch.from_numpy(labels), distance)
    return Figures(
        triplet_accuracy=mean(right, labels[triplets.anchor.numpy()]),
        precision_at_1=mean(per_query.precision_at_1, labels),
        map_at_r=mean(per_query.map_at_r, labels),
        r_precision=mean(per_query.r_precision, labels),
        mrr_at_10=mean(per_query.reciprocal_rank, labels),
        **{
            f"{name}_at_{k}": mean(by_k[k], labels)
            for name, by_k in (
                ("recall", per_query.recall_at),
                ("precision", per_query.precision_at),
                ("map", per_query.average_precision_at),
            )
            for k in (5, 10)
        },
    )
