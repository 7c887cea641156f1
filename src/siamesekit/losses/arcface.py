"""Loss `arcface`."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from siamesekit.allocator import refuse_too_many_numbers
from siamesekit.batches import checked_batch
from siamesekit.labels import Labels
from siamesekit.losses.class_cosines import class_cosines
from siamesekit.losses.loss import LossValue, mean_of
from siamesekit.options import Count, Positive
from siamesekit.registry import LOSSES
from siamesekit.triplets import Tuples

Angle = Annotated[float, Ge(0), Lt(3.14159)]


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + margin) of cos θ, with margin in radians: `[N]` → `[N]`, less than cos θ.

    Where θ + margin is beyond π, and cos(θ + margin) would grow again, it is cos θ − margin · sin(margin), as in the
    authors' code. By cos θ · cos m − sin θ · sin m, not by way of acos, whose gradient is not finite at ±1; there,
    where θ has no gradient, that of sin θ is 0.
    """
    square = (1 - cosine) * (1 + cosine)
    apart = square > 0
    sine = torch.where(apart, square.where(apart, 1).sqrt(), 0)
    shifted = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine >= -math.cos(margin), shifted, cosine - margin * math.sin(margin))


@LOSSES.register("arcface")
class ArcFaceLoss(nn.Module):
    """ArcFace: classification by the angle to each individual's centre, the own angle enlarged by a margin.

    Embeddings `[N, D]`, labels `[N]` of 0 … C − 1 → the mean cross-entropy of scale · cos θ, with cos(θ + margin) for
    the own individual. It measures by the cosine, the run's distance plays no part, and triplets or pairs are not
    looked at. Deng et al. 2019 (arXiv:1801.07698), equation 3.

    The centres `[C · S, D]`, S = `sub_centers` of an individual one after the other, begin as random directions of
    about length 1, drawn from torch's global generator.

    Args:
        margin: in radians; 0.5 is 28.6 degrees.
        scale: of the cosines.
        sub_centers: how many centres an individual has; the nearest one counts: Deng et al. 2020 (ECCV), "Sub-center
            ArcFace". Several suit individuals of several looks, the left and right side of a fluke say.
        embedding_dim: supplied by the run.
        num_classes: supplied by the run.

    Raises:
        ComponentError: the centres would be more numbers than a component may hold.
    """

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
        """The batch's loss, of embeddings `[N, D]` of individuals `[N]`; float32 or better."""
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=self.centers.shape[1], classes=len(self.centers) // self.sub_centers
        )
        cosines = class_cosines(embeddings, self.centers).unflatten(1, (-1, self.sub_centers)).amax(2)
        own = labels[:, None]
        logits = self.scale * cosines.scatter(1, own, with_margin(cosines.gather(1, own), self.margin))
        return mean_of(F.cross_entropy(logits, labels, reduction="none"))
