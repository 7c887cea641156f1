"""Loss `arcface`."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor

from siamesekit.components.labels import Labels
from siamesekit.components.losses.margin_softmax import MarginSoftmaxLoss
from siamesekit.options import Count, Positive
from siamesekit.registry import LOSSES

Angle = Annotated[float, Ge(0), Lt(3.14159)]
Smoothing = Annotated[float, Ge(0), Lt(1)]


def with_margin(cosine: Tensor, margin: float | Tensor) -> Tensor:
    """cos(θ + margin) of cos θ, with the margin in radians, one number or `[N]`: `[N]` → `[N]`, less than cos θ.

    For θ + margin > π, where cos(θ + margin) would increase again, the result is cos θ − margin · sin(margin), as in
    the authors' code. The formula is cos θ · cos m − sin θ · sin m, without acos, whose gradient is infinite at ±1. At
    ±1 the gradient of sin θ is taken as 0.
    """
    cos: float | Tensor = margin.cos() if isinstance(margin, Tensor) else math.cos(margin)
    sin: float | Tensor = margin.sin() if isinstance(margin, Tensor) else math.sin(margin)
    square = (1 - cosine) * (1 + cosine)
    apart = square > 0
    sine = torch.where(apart, square.where(apart, 1).sqrt(), 0)
    shifted = cosine * cos - sine * sin
    return torch.where(cosine >= -cos, shifted, cosine - margin * sin)


@LOSSES.register("arcface")
class ArcFaceLoss(MarginSoftmaxLoss):
    """ArcFace: classification by the angles to learned centres, with an angular margin for the true individual.

    Embeddings `[N, D]`, labels `[N]` of 0 … C − 1 → the mean cross-entropy of scale · cos θ, with cos(θ + margin) for
    the true individual. The loss measures by the cosine; it ignores the run's distance, triplets and pairs. Deng et
    al. 2019 (arXiv:1801.07698), equation 3.

    The centres `[C · S, D]` are ordered by individual, S = `sub_centers` each. They are initialized with random
    directions of about length 1, drawn from torch's global generator.

    Args:
        margin: angular margin in radians; 0.5 is 28.6 degrees.
        scale: factor of the cosines.
        sub_centers: number of centres per individual, of which the nearest one counts: Deng et al. 2020 (ECCV),
            "Sub-center ArcFace". Several centres suit individuals with several looks, such as the two sides of a fluke.
        smallest_margin: margin of the individuals with the most photos, at most `margin`, which those with the fewest
            photos then have; in between it falls with n^(−1/4) of the n photos: Ha et al. 2020 (arXiv:2010.05350).
            Without it, all have the same margin.
        smoothing: share of the target that is divided evenly among all individuals (label smoothing).
        embedding_dim: supplied by the run.
        num_classes: supplied by the run.
        class_counts: number of photos of each individual, `[C]`; supplied by the run.

    Raises:
        ComponentError: the centres exceed the largest size of a component, or `smallest_margin` is above `margin`.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        margin: Angle = 0.5,
        scale: Positive = 64.0,
        sub_centers: Annotated[int, Ge(1), Le(1000)] = 1,
        smallest_margin: Angle | None = None,
        smoothing: Smoothing = 0.0,
        *,
        embedding_dim: Count,
        num_classes: Count,
        class_counts: Labels | None = None,
    ) -> None:
        super().__init__()
        self.margin, self.smallest_margin = margin, smallest_margin
        self.scale = scale
        self.sub_centers = sub_centers
        self.smoothing = smoothing
        self._add_individuals("loss 'arcface'", embedding_dim, num_classes, class_counts)

    with_margin = staticmethod(with_margin)
