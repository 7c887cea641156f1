"""Cross-entropy over individuals that are divided into parts: what each part gives, and the loss of all parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TERMS = 4
"""Numbers that a part gives for each photo."""


def softmax_terms(logits: Tensor, rows: Tensor, own: Tensor, smoothed: bool) -> Tensor:
    """What a part of the individuals adds to the cross-entropy of each photo: `[N, n]` → `[4, N]`, n > 0.

    These are the greatest logit x* (without gradient), Σ exp(x − x*), the true individual's logit (0 if it is in
    another part), and Σ (x − x*) for label smoothing (0 without).

    Args:
        logits: logits of the n individuals of the part.
        rows: photos whose true individual is in the part, int64 `[m]`.
        own: the true individuals of these photos, 0 … n − 1, int64 `[m]`.
        smoothed: whether labels are smoothed.
    """
    greatest = logits.detach().amax(1)
    apart = logits - greatest[:, None]
    true = torch.zeros_like(greatest).index_put((rows,), logits[rows, own])
    return torch.stack([greatest, apart.exp().sum(1), true, apart.sum(1) if smoothed else torch.zeros_like(greatest)])


def losses_of_terms(terms: Tensor, counts: Sequence[int], smoothing: float) -> Tensor:
    """The cross-entropy of each photo over all individuals: `[W, 4, N]` → `[N]`.

    The order of the operations is that of PyTorch's `cross_entropy`, so that losses near 0 are rounded alike.

    Args:
        terms: what each of W parts gives (`softmax_terms`).
        counts: number of individuals of each part, W numbers above 0.
        smoothing: share of the target that is divided evenly among all individuals.
    """
    greatest, sums, true, apart = terms.unbind(1)
    greatest = greatest.detach()
    top = greatest.amax(0)
    below = greatest - top
    log_sum = (below.exp() * sums).sum(0).log()
    losses = (top - true.sum(0)) + log_sum
    if smoothing == 0:
        return losses
    each = torch.tensor(counts, dtype=terms.dtype, device=terms.device)[:, None]
    mean = (apart + each * below).sum(0) / sum(counts)
    return (1 - smoothing) * losses + smoothing * (log_sum - mean)
