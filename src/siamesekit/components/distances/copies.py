"""Equal embeddings in a gallery."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

HASHED = 2048
"""Rows that are hashed or compared at a time."""


@dataclass(frozen=True)
class Copies:
    """Which rows of a gallery follow rows that are equal.

    Attributes:
        order: rows that have equal rows before them, `[M]`.
        before: number of these for each, `[M]`.
        size: number of rows.
    """

    order: Tensor
    before: Tensor
    size: int

    @property
    def most(self) -> int:
        """Most rows that are equal."""
        return 1 + int(self.before.max()) if len(self.before) else 1

    def first(self, copies: int) -> Tensor | None:
        """Indices of all rows but those that follow `copies` equal rows; None for all."""
        left_out = self.order[self.before >= copies]
        if not len(left_out):
            return None
        kept = torch.ones(self.size, dtype=torch.bool, device=self.order.device)
        kept[left_out] = False
        return kept.nonzero()[:, 0]


def copies_in(gallery: Tensor) -> Copies:
    """Which rows of a gallery `[N, D]` follow equal rows."""
    weights = torch.arange(1, gallery.shape[1] + 1, device=gallery.device) * 0x1E3779B97F4A7C15 % (1 << 40) * 2 + 1
    bits = torch.int32 if gallery.dtype == torch.float32 else torch.int64
    hashes = torch.empty(len(gallery), dtype=torch.int64, device=gallery.device)
    for chunk, into in zip(gallery.split(HASHED), hashes.split(HASHED), strict=True):
        values = (chunk + 0.0).contiguous().view(bits).long()  # + 0.0 turns −0 into 0
        torch.sum(values.mul_(weights), dim=1, out=into)  # wraps around
    ordered, order = hashes.sort(stable=True)
    maybe = (ordered[1:] == ordered[:-1]).nonzero()[:, 0] + 1
    equal = torch.zeros(len(gallery), dtype=torch.bool, device=gallery.device)
    for chunk in maybe.split(HASHED):
        equal[chunk] = (gallery[order[chunk]] == gallery[order[chunk - 1]]).all(dim=1)
    places = torch.arange(len(gallery), device=gallery.device)
    before = places - torch.where(equal, 0, places).cummax(0).values
    repeated = before > 0
    return Copies(order[repeated], before[repeated], len(gallery))
