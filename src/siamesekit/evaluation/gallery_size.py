"""How often the right individual is found, by the number of individuals that are searched.

The more individuals, the likelier is one of them nearer by chance. In a gallery of n individuals, the query's own and
n − 1 random others of the I that there are, the own one is the nearest if none of the b individuals that are nearer was
drawn. The probability of that is hypergeometric, so no gallery needs to be drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.protocol import Protocol

SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
"""Numbers of individuals in a gallery, as far as there are individuals; then all of them."""
VALUES = 1 << 23
"""Number of distances held at a time."""


def sizes_up_to(individuals: int) -> list[int]:
    """The sizes of galleries below a number of individuals, and that number.

    >>> sizes_up_to(30)
    [2, 5, 10, 20, 30]
    """
    return [size for size in SIZES if size < individuals] + [individuals]


def individual_distances(
    embeddings: Tensor, labels: NDArray[np.int64], protocol: Protocol, rows: Tensor, distance: Distance
) -> tuple[Floats, NDArray[np.int64]]:
    """Distance of each query to the nearest photo of each individual of the gallery, `[q, I]`, and labels `[I]`.

    The distance is NaN if the query is not compared with any photo of the individual. NaN distances count as infinite.

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        labels: int64 `[N]`, labels of all photos.
        protocol: queries, gallery and groups.
        rows: int64 `[q]`, the queries, as positions in `protocol.queries`.
        distance: distance between photos.
    """
    individuals, owner = np.unique(labels[protocol.gallery.numpy()], return_inverse=True)
    of, gallery = torch.from_numpy(owner), protocol.gallery
    found = torch.empty(len(rows), len(individuals), dtype=torch.float64)
    at_once = max(1, VALUES // max(1, len(gallery)))
    for some in torch.arange(len(rows)).split(at_once):
        queries = protocol.queries[rows[some]]
        near = pairwise(distance, embeddings[queries.to(embeddings.device)], embeddings[gallery.to(embeddings.device)])
        near = near.cpu().double().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        compared = protocol.group[queries][:, None] != protocol.group[gallery]
        near, index = near.masked_fill(~compared, torch.inf), of.expand_as(near)
        nearest = torch.full_like(found[some], torch.inf).scatter_reduce(1, index, near, "amin")
        met = torch.zeros_like(nearest).scatter_reduce(1, index, compared.double(), "amax")
        found[some] = nearest.masked_fill(met == 0, torch.nan)
    return found.numpy(), individuals


def right_by_size(distances: Floats, own: NDArray[np.int64], sizes: list[int]) -> Floats:
    """Probability that a query's own individual is the nearest in a random gallery of each size, `[sizes, q]`.

    Individuals that are as near as the own one count as nearer. NaN if the own distance is NaN.

    Args:
        distances: distance of each query to each of I individuals, `[q, I]`; NaN is never nearer.
        own: index of each query's individual, int64 `[q]`, 0 … I − 1.
        sizes: numbers of individuals, the own one among them, 1 … I.

    >>> right_by_size(np.array([[0.2, 0.1, 0.9]]), np.array([0]), [1, 2, 3])[:, 0]  # one of two others is nearer
    array([1. , 0.5, 0. ])
    """
    mine = distances[np.arange(len(own)), own]
    others = distances.shape[1] - 1
    nearer = (distances <= mine[:, None]).sum(axis=1) - ~np.isnan(mine)
    logs = np.concatenate([[0.0], np.log(np.arange(1, others + 1)).cumsum()])  # log n!
    farther = others - nearer
    rows = []
    for size in sizes:
        drawn = size - 1
        enough = farther >= drawn
        left = np.where(enough, farther - drawn, 0)
        log = logs[farther] - logs[left] - logs[others] + logs[others - drawn]
        rows.append(np.where(np.isnan(mine), np.nan, np.where(enough, np.exp(log), 0.0)))
    return np.stack(rows)
