"""The linear warm-up at the start of schedules."""

from __future__ import annotations


def warmed_up(step: int, steps: int, share: float) -> tuple[float, float]:
    """The progress of the warm-up, and that of the steps after it; both from 0 to 1.

    In the first W = ⌊share · steps + ½⌋ steps the warm-up rises linearly: (step + 1) / (W + 1). Goyal et al. 2017
    (arXiv:1706.02677), section 2.2. After that it is 1, and the progress of the rest is (step − W) / (steps − W).

    Args:
        step: counted from 0; after the last step both stay at 1.
        steps: number of steps of the whole run.
        share: share of the steps that warm up, 0 to 1.
    """
    warm = int(share * steps + 0.5)
    if step < warm:
        return (step + 1) / (warm + 1), 0.0
    return 1.0, min((step - warm) / max(steps - warm, 1), 1.0)
