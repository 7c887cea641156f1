"""The probability that two photos show one individual, for all pairs of many photos.

The model's similarity assumes that half of all pairs show one individual. Among the pairs of many photos, few do. So
the similarity is corrected as if a smaller share did. That share is chosen among `SHARES`: average linkage up to its
probability of 0.5 finds the best separated clusters. (The likeliest share would be another choice, but it follows the
similarity of far pairs, where a fit to few individuals is least exact.) The share of pairs in those clusters is then
an estimate of the true share.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.errors import UserError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.gallery.clustering import Agglomeration, Matrix
from siamesekit.hardware.memory import machine_memory
from siamesekit.wording import gibibytes

MOST = 20_000
"""Most photos: all distances take 1.5 GiB, and two to four times as much again while they are clustered."""
ROWS = 1024
"""Rows of distances that are computed at a time."""
SHARES = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Shares of same pairs among which the correction is chosen."""
TINY = 1e-12
"""Smallest denominator of a silhouette."""


def check_size(photos: int, copies: int = 3) -> None:
    """Check, before the photos are embedded if possible, that all pairs fit into memory.

    Args:
        photos: number of photos.
        copies: number of float32 matrices `[N, N]` that are kept at a time.

    Raises:
        UserError: there are too many photos, or fewer than two.
    """
    if photos < 2:
        raise UserError(f"clusters need at least 2 photos, not {photos}")
    need, there = 4 * photos**2 * copies, machine_memory()
    limit = f"at most {MOST:,} are allowed"
    if photos <= MOST:
        if need <= there:
            return
        limit = f"that takes {gibibytes(need)} of memory, and there are {gibibytes(there)}"
    raise UserError(
        f"{photos:,} photos are too many to compare each with each: {limit}; cluster them in parts, such as by site, "
        "side or season"
    )


def similarities(embeddings: Tensor, distance: Distance, calibration: Calibration) -> Matrix:
    """Similarity of all pairs, float32 `[N, N]`, 0 on the diagonal.

    Args:
        embeddings: embeddings `[N, D]`.
        distance: the model's distance.
        calibration: the model's function from a distance to similarity.
    """
    found = np.empty((len(embeddings), len(embeddings)), np.float32)
    with torch.no_grad():
        for start in range(0, len(embeddings), ROWS):
            part = slice(start, start + ROWS)
            far = pairwise(distance, embeddings[part], embeddings).double().cpu()
            found[part] = torch.sigmoid(-calibration.slope * far - calibration.intercept).numpy()
    np.fill_diagonal(found, 0)
    return found


def correct(similarity: Matrix, share: float) -> None:
    """Make probabilities of similarities, in place: those of "same" if this share of pairs shows one individual.

    Similarity s is the probability for half of all pairs, so by Bayes' rule the probability is
    s · share / (s · share + (1 − s) · (1 − share)).

    Args:
        similarity: similarities, float32 `[N, N]`.
        share: share of same pairs, above 0 and below 1.
    """
    for start in range(0, len(similarity), ROWS):
        part = similarity[start : start + ROWS]
        same = part * np.float32(share)
        part[...] = same / (same + (1 - part) * np.float32(1 - share))


def separated(similarity: Matrix, tree: Agglomeration) -> float:
    """The share among `SHARES` whose clusters are separated best, by the largest mean silhouette (Rousseeuw 1987).

    A share s cuts the tree where the mean similarity is 1 − s, whose probability is 0.5.

    Args:
        similarity: similarities `[N, N]`, 0 on the diagonal.
        tree: average linkage of one minus the similarities, up to 0.5 at least.
    """
    best, chosen, before = -np.inf, SHARES[0], 0
    for share in SHARES:
        labels = tree.cut(share)
        several = len(np.unique(labels))
        if several == before:
            continue
        before = several
        quality = silhouette(similarity, labels) if 1 < several < len(labels) else -1.0
        if quality > best:
            best, chosen = quality, share
    return chosen


def together(labels: NDArray[np.int64]) -> float:
    """The share of pairs of photos that are in one cluster, at least that of a single pair; clusters int64 `[N]`."""
    sizes = np.unique(labels, return_counts=True)[1]
    pairs = len(labels) * (len(labels) - 1)
    return float(np.clip((sizes * (sizes - 1)).sum(), 2, max(pairs - 2, 2)) / max(pairs, 4))


def silhouette(similarity: Matrix, labels: NDArray[np.int64]) -> float:
    """Mean silhouette of clusters by distances 1 − similarity; 0 for photos that are alone.

    For a photo with mean distance a to the others of its cluster, and b to those of the nearest other cluster, it is
    (b − a) / max(a, b).

    Args:
        similarity: similarities `[N, N]`, 0 on the diagonal.
        labels: cluster of each photo, int64 `[N]`, at least two.
    """
    _, cluster, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(cluster, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    total = 0.0
    for start in range(0, len(labels), ROWS):
        own = cluster[start : start + ROWS]
        rows = np.arange(len(own))
        sums = sizes - np.add.reduceat(similarity[start : start + ROWS][:, order].astype(np.float64), starts, axis=1)
        inside = (sums[rows, own] - 1) / np.maximum(sizes[own] - 1, 1)  # less the photo itself, at distance 1
        others = sums / sizes
        others[rows, own] = np.inf
        near = others.min(1)
        total += float(np.where(sizes[own] > 1, (near - inside) / np.maximum(np.maximum(near, inside), TINY), 0).sum())
    return total / len(labels)
