"""Figures of an open set: queries of known individuals and of new ones, which are not in the gallery.

A query is called new if its nearest gallery photo is farther than a threshold; else it gets the individual of that
photo. BAKS and BAUS are the balanced accuracies on known and on unknown samples of WildlifeReID-10k (Adam et al. 2025,
arXiv:2406.09211).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.intervals import Floats, Interval, drawn_counts, interval
from siamesekit.evaluation.protocol import Protocol, ranked

QUERIES = 4096
"""Number of queries ranked at a time."""


class NearestPhoto(NamedTuple):
    """The nearest gallery photo of each query.

    Attributes:
        distance: float64 `[Q]`; ∞ if the distance is NaN or nothing is searched.
        label: int64 `[Q]`, label of that photo; −1 without one.
    """

    distance: Floats
    label: NDArray[np.int64]


class OpenSet(NamedTuple):
    """Figures of an open set; those that need a threshold are None without one.

    Attributes:
        auroc: probability that a query of a new individual is farther from its nearest gallery photo than a query of a
            known one; equal distances count half.
        baks: mean over the known individuals of the share of their queries that get the right individual.
        baus: mean over the new individuals of the share of their queries that are called new.
        geometric_mean: √(BAKS · BAUS).
        known: number of queries of known individuals.
        new: number of queries of new individuals.
    """

    auroc: Interval
    baks: Interval | None
    baus: Interval | None
    geometric_mean: Interval | None
    known: int
    new: int


def nearest_photo(
    embeddings: Tensor, labels: NDArray[np.int64], protocol: Protocol, distance: Distance
) -> NearestPhoto:
    """The nearest gallery photo of each query: embeddings `[N, D]`, labels `[N]`."""
    distances, owners = [], []
    of = torch.from_numpy(labels)
    for rows in torch.arange(len(protocol.queries)).split(QUERIES):
        found = ranked(embeddings, protocol, rows, 1, distance)
        nothing = ~found.valid.cpu() | found.distance.isnan().cpu()
        distances.append(found.distance.cpu().double().masked_fill(nothing, torch.inf)[:, 0])
        owners.append(of[found.photo.cpu()].masked_fill(nothing, -1)[:, 0])
    return NearestPhoto(torch.cat(distances).numpy(), torch.cat(owners).numpy())


def open_set(
    found: NearestPhoto,
    labels: NDArray[np.int64],
    known: NDArray[np.bool_],
    threshold: float | None,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> OpenSet | None:
    """Compute the figures with bootstrap intervals over individuals, known and new ones drawn separately.

    Args:
        found: nearest gallery photo of each query.
        labels: int64 `[Q]`, label of each query.
        known: bool `[Q]`, whether the query's individual is in the gallery.
        threshold: largest distance at which a query gets the individual of its nearest photo; None without one.
        confidence: confidence of the intervals, such as 0.95.
        resamples: number of bootstrap resamples.
        rng: random generator of the resamples.

    Returns:
        The figures; None if all queries are known, or all are new.
    """
    if known.all() or not known.any():
        return None
    _, owner_known = np.unique(labels[known], return_inverse=True)
    _, owner_new = np.unique(labels[~known], return_inverse=True)
    count_known, count_new = np.bincount(owner_known), np.bincount(owner_new)
    wins = _wins(found.distance[known], owner_known, found.distance[~known], owner_new)
    drawn_known = drawn_counts(rng, len(count_known), resamples)
    drawn_new = drawn_counts(rng, len(count_new), resamples)

    def between(value: float, resampled: Floats) -> Interval:
        return interval(value, lambda: resampled, min(len(count_known), len(count_new)), confidence)

    auroc = between(
        wins.sum() / (count_known.sum() * count_new.sum()),
        ((drawn_known @ wins) * drawn_new).sum(axis=1) / ((drawn_known @ count_known) * (drawn_new @ count_new)),
    )
    if threshold is None:
        return OpenSet(auroc, None, None, None, int(known.sum()), int((~known).sum()))
    accepted = found.distance <= threshold
    right = (accepted & (found.label == labels))[known]
    share_known = np.bincount(owner_known, weights=right) / count_known
    share_new = np.bincount(owner_new, weights=~accepted[~known]) / count_new
    baks, baus = drawn_known @ share_known / len(count_known), drawn_new @ share_new / len(count_new)
    return OpenSet(
        auroc,
        between(share_known.mean(), baks),
        between(share_new.mean(), baus),
        between(float(np.sqrt(share_known.mean() * share_new.mean())), np.sqrt(baks * baus)),
        int(known.sum()),
        int((~known).sum()),
    )


def _wins(known: Floats, owner_known: NDArray[np.int64], new: Floats, owner_new: NDArray[np.int64]) -> Floats:
    """For each known and each new individual, the number of pairs of queries in which the new one is farther, `[K, M]`.

    Equal distances count half.
    """
    order = np.argsort(known, kind="stable")
    below = np.zeros((len(new), owner_known.max() + 1))
    for individual in range(below.shape[1]):
        own = known[order][owner_known[order] == individual]
        below[:, individual] = (np.searchsorted(own, new) + np.searchsorted(own, new, side="right")) / 2
    wins = np.zeros((below.shape[1], owner_new.max() + 1))
    np.add.at(wins.T, owner_new, below)
    return wins
