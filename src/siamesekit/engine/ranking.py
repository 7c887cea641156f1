"""How triplets are ranked: their distances, and the share of them in which the right photo is nearer."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.distances.distance import Distance, pairwise
from siamesekit.losses.batch_all import share_ranked_right
from siamesekit.triplets import Pairs, Triplets, Tuples, positives_of

HELD = 1 << 24
"""Values of anchors, and as many of positives and of negatives, that are held at a time."""


def triplet_distances(embeddings: Tensor, triplets: Triplets, distance: Distance) -> tuple[Tensor, Tensor]:
    """d_ap and d_an, each `[T]`, of triplets of embeddings `[N, D]`; the embeddings of `HELD` values at a time."""
    at_once = max(1, HELD // max(1, embeddings.shape[1]))
    found = []
    for some in zip(*(index.split(at_once) for index in triplets), strict=True):
        anchor, positive, negative = (embeddings.index_select(0, index) for index in some)
        found.append((distance(anchor, positive), distance(anchor, negative)))
    d_ap, d_an = (torch.cat(part) for part in zip(*found, strict=True))
    return d_ap, d_an


def ranking(
    embeddings: Tensor, labels: Tensor, tuples: Tuples | None, distance: Distance
) -> tuple[float, float, float]:
    """Share of triplets with d_ap < d_an, strictly, and the mean distances d_ap and d_an; NaN without any of them.

    A triplet with a distance that is NaN is not ranked right.

    Args:
        embeddings: `[N, D]`, without gradient.
        labels: int64 `[N]`, their individuals.
        tuples: triplets of indices into them; or pairs, whose triplets are every positive with every negative pair of
            its anchor, and the means over the pairs; None: all that the individuals make, with the means over the
            positive and over the negative pairs.
        distance: between embeddings.
    """
    if isinstance(tuples, Triplets):
        d_ap, d_an = triplet_distances(embeddings, tuples, distance)
        return (d_ap < d_an).double().mean().item(), d_ap.mean().item(), d_an.mean().item()
    distances = pairwise(distance, embeddings, embeddings)
    if tuples is not None:
        return _ranking_of_pairs(distances, tuples)
    index, there = positives_of(labels)
    positive = distances.gather(1, index)[there]
    same = labels[:, None] == labels
    d_an = distances.masked_fill(same, 0).sum(dtype=torch.float64) / (~same).sum()
    return share_ranked_right(distances, labels).item(), positive.double().mean().item(), d_an.item()


def _ranking_of_pairs(distances: Tensor, pairs: Pairs) -> tuple[float, float, float]:
    d_ap, d_an = distances[pairs.anchor, pairs.positive], distances[pairs.other_anchor, pairs.negative]
    negatives = torch.full_like(distances, -torch.inf)  # no positive is nearer than that
    negatives[pairs.other_anchor, pairs.negative] = d_an
    right = (negatives[pairs.anchor] > d_ap[:, None]).sum()  # False of NaN
    chosen = torch.zeros_like(distances, dtype=torch.bool)
    chosen[pairs.other_anchor, pairs.negative] = True
    triplets = chosen.sum(1)[pairs.anchor].sum()
    return (right.double() / triplets).item(), d_ap.double().mean().item(), d_an.double().mean().item()
