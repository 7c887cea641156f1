"""The warm-up that schedules begin with, and what of the run is left after it."""

from __future__ import annotations


def warmed_up(step: int, steps: int, share: float) -> tuple[float, float]:
    """How far the warm-up is, and how far what follows it; both from 0 to 1.

    The first W = ⌊share · steps + ½⌋ steps rise in equal steps to 1: (step + 1) / (W + 1). Goyal et al. 2017
    (arXiv:1706.02677), section 2.2. From then on the second is (step − W) / (steps − W).

    Args:
        step: counted from 0; after the last one both stay at 1.
        steps: of the whole run.
        share: of the steps that warm up, 0 to 1.
    """
    warm = int(share * steps + 0.5)
    if step < warm:
        return (step + 1) / (warm + 1), 0.0
    return 1.0, min((step - warm) / max(steps - warm, 1), 1.0)
