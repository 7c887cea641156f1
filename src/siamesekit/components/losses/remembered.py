"""Distances of a batch and of embeddings that receive no gradient, such as those of a memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise


class Remembered(NamedTuple):
    """Distances of N embeddings, of which the last M are remembered.

    Attributes:
        of_batch: `[N - M, N]`, from the others to all; the gradient flows to them.
        every: `[N, N]`, from each to each.
    """

    of_batch: Tensor
    every: Tensor


def remembered_distances(distance: Distance, embeddings: Tensor, remembered: int) -> Remembered:
    """All distances of embeddings `[N, D]`, whose gradient flows only to the first N − `remembered`.

    The values are those of `pairwise`, bit for bit. The distances between remembered embeddings, which are nearly all,
    are in no graph.

    >>> from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
    >>> place = torch.tensor([[0.0], [1.0], [3.0]], requires_grad=True)
    >>> distances = remembered_distances(SquaredEuclidean(), place, 2).every
    >>> distances.detach()
    tensor([[0., 1., 9.],
            [1., 0., 4.],
            [9., 4., 0.]])
    >>> torch.autograd.grad(distances.sum(), place)
    (tensor([[-16.],
            [  0.],
            [  0.]]),)
    """
    batch = len(embeddings) - remembered
    with torch.no_grad():
        values = pairwise(distance, embeddings, embeddings)
    fixed = embeddings[batch:].detach()
    of_batch = pairwise(distance, embeddings[:batch], torch.cat([embeddings[:batch], fixed]))
    to_batch = pairwise(distance, fixed, embeddings[:batch])
    return Remembered(_Values.apply(values[:batch], of_batch), _Blocks.apply(values, of_batch, to_batch))


class _Values(torch.autograd.Function):
    """Values whose gradient flows to the same distances in a graph: `[A, N]`, `[A, N]` → `[A, N]`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, graph: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[None, Tensor]:
        return None, upstream[0]


class _Blocks(torch.autograd.Function):
    """All distances `[N, N]`, whose gradient flows to those from and to a batch, `[A, N]` and `[N - A, A]`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, of_batch: Tensor, to_batch: Tensor) -> Tensor:
        ctx.batch = len(of_batch)
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[None, Tensor, Tensor]:
        return None, upstream[0][: ctx.batch], upstream[0][ctx.batch :, : ctx.batch]
