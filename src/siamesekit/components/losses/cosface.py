"""Loss `cosface`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le, Lt
from torch import Tensor

from siamesekit.components.labels import Labels
from siamesekit.components.losses.margin_softmax import MarginSoftmaxLoss
from siamesekit.options import Count, Positive
from siamesekit.registry import LOSSES

Margin = Annotated[float, Ge(0), Le(2)]
Smoothing = Annotated[float, Ge(0), Lt(1)]


@LOSSES.register("cosface")
class CosFaceLoss(MarginSoftmaxLoss):
    """CosFace: classification by the cosines with learned centres, less a margin for the true individual.

    Embeddings `[N, D]`, labels `[N]` of 0 … C − 1 → the mean cross-entropy of scale · cos θ, with
    scale · (cos θ − margin) for the true individual. The loss measures by the cosine; it ignores the run's distance,
    triplets and pairs. Wang et al. 2018 (arXiv:1801.09414), equation 4.

    The centres `[C · S, D]` are ordered by individual, S = `sub_centers` each. They are initialized with random
    directions of about length 1, drawn from torch's global generator.

    Args:
        margin: margin of the cosine.
        scale: factor of the cosines.
        sub_centers: number of centres per individual, of which the nearest one counts, as in `arcface`.
        smallest_margin: margin of the individuals with the most photos, at most `margin`, as in `arcface`. Without it,
            all have the same margin.
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
        margin: Margin = 0.35,
        scale: Positive = 64.0,
        sub_centers: Annotated[int, Ge(1), Le(1000)] = 1,
        smallest_margin: Margin | None = None,
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
        self._add_individuals("loss 'cosface'", embedding_dim, num_classes, class_counts)

    @staticmethod
    def with_margin(cosine: Tensor, margin: float | Tensor) -> Tensor:
        """cos θ − margin: `[N]`, one number or `[N]` → `[N]`."""
        return cosine - margin
