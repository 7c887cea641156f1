"""Logits of circle loss, in which each cosine is weighted by its distance from its optimum."""

from __future__ import annotations

from torch import Tensor


def positive_logits(cosines: Tensor, margin: float, scale: float) -> Tensor:
    """−scale · αₚ (s − 1 + margin) of cosines s with positives, αₚ = max(1 + margin − s, 0): `[...]` → `[...]`.

    No gradient flows through αₚ. Sun et al. 2020 (arXiv:2002.10857), equations 5, 6 and 8.
    """
    weight = (1 + margin - cosines.detach()).clamp_min(0)
    return -scale * weight * (cosines - 1 + margin)


def negative_logits(cosines: Tensor, margin: float, scale: float) -> Tensor:
    """scale · αₙ (s − margin) of cosines s with negatives, αₙ = max(s + margin, 0): `[...]` → `[...]`.

    No gradient flows through αₙ. Sun et al. 2020 (arXiv:2002.10857), equations 5, 6 and 8.
    """
    weight = (cosines.detach() + margin).clamp_min(0)
    return scale * weight * (cosines - margin)
