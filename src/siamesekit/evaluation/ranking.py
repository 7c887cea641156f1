"""Ranking of triplets: their distances, and the share in which the positive is nearer than the negative."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, in_finite_order, pairwise
from siamesekit.components.losses.batch_all import batch_all
from siamesekit.components.tuples import Pairs, Triplets, Tuples, count_triplets, positives_of
from siamesekit.evaluation.intervals import Floats

HELD = 1 << 24
"""Maximum number of embedding values held at a time, for each of anchors, positives and negatives."""


def triplet_distances(embeddings: Tensor, triplets: Triplets, distance: Distance) -> tuple[Tensor, Tensor]:
    """Distances d_ap and d_an, each `[T]`, of triplets of embeddings `[N, D]`, in chunks of `HELD` values."""
    at_once = max(1, HELD // max(1, embeddings.shape[1]))
    found = []
    for some in zip(*(index.split(at_once) for index in triplets), strict=True):
        anchor, positive, negative = (embeddings.index_select(0, index) for index in some)
        found.append((distance(anchor, positive), distance(anchor, negative)))
    d_ap, d_an = (torch.cat(part) for part in zip(*found, strict=True))
    return d_ap, d_an


def triplet_accuracy(d_ap: Tensor, d_an: Tensor) -> Floats:
    """1 if the positive is strictly nearer, else 0: `[T]`, `[T]` → float64 `[T]`. NaN is farther than all numbers.

    >>> triplet_accuracy(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 2.0]))
    array([1., 0., 0.])
    """
    return ((d_ap < d_an) | (d_an.isnan() & ~d_ap.isnan())).double().cpu().numpy()


def share_ranked_right(distances: Tensor, labels: Tensor) -> Tensor:
    """Share of all triplets with d_ap < d_an, strictly: `[N, N]`, `[N]` → float64 scalar, NaN without any triplet.

    Distances may be infinite. A triplet with a NaN distance counts as wrong.
    """
    distances = distances.detach()
    lost = torch.where(labels[:, None] == labels, torch.inf, -torch.inf)  # farthest positives, nearest negatives
    distances = in_finite_order(torch.where(distances.isnan(), lost.to(distances.dtype), distances))
    wrong = batch_all(distances, labels, 0.0, "hard").triplets
    return 1 - wrong.double() / count_triplets(labels)


def ranking(
    embeddings: Tensor, labels: Tensor, tuples: Tuples | None, distance: Distance
) -> tuple[float, float, float]:
    """Share of triplets with d_ap < d_an, strictly, and the mean distances d_ap and d_an; NaN without any tuples.

    A triplet with a NaN distance counts as wrong.

    Args:
        embeddings: embeddings `[N, D]`, without gradient.
        labels: int64 labels `[N]`.
        tuples: triplets or pairs, as indices into `embeddings`. Pairs form triplets: each positive pair with each
            negative pair of the same anchor; the mean distances are those of the pairs. None: all triplets, with the
            mean distances of all positive and of all negative pairs.
        distance: distance between embeddings.
    """
    if isinstance(tuples, Triplets):
        d_ap, d_an = triplet_distances(embeddings, tuples, distance)
        return (d_ap < d_an).double().mean().item(), d_ap.mean().item(), d_an.mean().item()
    distances = pairwise(distance, embeddings, embeddings)
    if tuples is not None:
        return _ranking_of_pairs(distances, tuples)
    index, mask = positives_of(labels)
    positive = distances.gather(1, index)[mask]
    same = labels[:, None] == labels
    d_an = distances.masked_fill(same, 0).sum(dtype=torch.float64) / (~same).sum()
    return share_ranked_right(distances, labels).item(), positive.double().mean().item(), d_an.item()


def _ranking_of_pairs(distances: Tensor, pairs: Pairs) -> tuple[float, float, float]:
    d_ap, d_an = distances[pairs.anchor, pairs.positive], distances[pairs.other_anchor, pairs.negative]
    negatives = torch.full_like(distances, -torch.inf)  # −∞ is nearer than every positive
    negatives[pairs.other_anchor, pairs.negative] = d_an
    right = (negatives[pairs.anchor] > d_ap[:, None]).sum()  # False for NaN
    chosen = torch.zeros_like(distances, dtype=torch.bool)
    chosen[pairs.other_anchor, pairs.negative] = True
    triplets = chosen.sum(1)[pairs.anchor].sum()
    return (right.double() / triplets).item(), d_ap.double().mean().item(), d_an.double().mean().item()
