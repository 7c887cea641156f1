"""Loss `arcface`."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.class_cosines import class_cosines
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.tuples import Tuples
from siamesekit.hardware.allocator import refuse_too_many_numbers
from siamesekit.options import Count, Positive
from siamesekit.registry import LOSSES

Angle = Annotated[float, Ge(0), Lt(3.14159)]


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + margin) of cos θ, with the margin in radians: `[N]` → `[N]`, less than cos θ.

    For θ + margin > π, where cos(θ + margin) would increase again, the result is cos θ − margin · sin(margin), as in
    the authors' code. The formula is cos θ · cos m − sin θ · sin m, without acos, whose gradient is infinite at ±1. At
    ±1 the gradient of sin θ is taken as 0.
    """
    square = (1 - cosine) * (1 + cosine)
    apart = square > 0
    sine = torch.where(apart, square.where(apart, 1).sqrt(), 0)
    shifted = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine >= -math.cos(margin), shifted, cosine - margin * math.sin(margin))


@LOSSES.register("arcface")
class ArcFaceLoss(nn.Module):
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
        embedding_dim: supplied by the run.
        num_classes: supplied by the run.

    Raises:
        ComponentError: the centres exceed the largest size of a component.
    """

    __module__ = "siamesekit"

    by_class = True
    measures_by = "cosine"

    def __init__(
        self,
        margin: Angle = 0.5,
        scale: Positive = 64.0,
        sub_centers: Annotated[int, Ge(1), Le(1000)] = 1,
        *,
        embedding_dim: Count,
        num_classes: Count,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.sub_centers = sub_centers
        refuse_too_many_numbers(
            num_classes * sub_centers * embedding_dim, "loss 'arcface'", "sub_centers, or the embedding's dimension"
        )
        self.centers = nn.Parameter(torch.randn(num_classes * sub_centers, embedding_dim) * embedding_dim**-0.5)

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`, in float32 or better."""
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=self.centers.shape[1], classes=len(self.centers) // self.sub_centers
        )
        cosines = class_cosines(embeddings, self.centers).unflatten(1, (-1, self.sub_centers)).amax(2)
        own = labels[:, None]
        logits = self.scale * cosines.scatter(1, own, with_margin(cosines.gather(1, own), self.margin))
        return mean_of(F.cross_entropy(logits, labels, reduction="none"))
