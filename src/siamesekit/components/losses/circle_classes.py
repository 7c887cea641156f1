"""Loss `circle-classes`: circle loss with class-level labels."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.circle_logits import negative_logits, positive_logits
from siamesekit.components.losses.class_cosines import nearest_center_cosines, random_centers
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp, log_sum_exp
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.tuples import Tuples
from siamesekit.options import Count, Positive
from siamesekit.registry import LOSSES

Relaxation = Annotated[float, Gt(-1), Lt(1)]


@LOSSES.register("circle-classes")
class CircleClassesLoss(nn.Module):
    """Circle loss by classes: the cosines with learned centres, each weighted by its distance from its optimum.

    Embeddings `[N, D]`, labels `[N]` of 0 … C − 1 → the mean of log(1 + exp(−scale αₚ (sₚ − 1 + margin)) ·
    Σₙ exp(scale αₙ (sₙ − margin))): sₚ is the cosine with the true individual's centre, sₙ those with all others, and
    the weights are those of `circle`. The loss measures by the cosine; it ignores the run's distance, triplets and
    pairs. Sun et al. 2020 (arXiv:2002.10857), equation 6 with one positive, the centre.

    The centres `[C · S, D]` are ordered by individual, S = `sub_centers` each. They are initialized with random
    directions of about length 1, drawn from torch's global generator.

    Args:
        margin: relaxation m: the true individual's cosine should be above 1 − m, those of others below m. 0.25 as in
            the paper's face recognition.
        scale: γ, factor of the logits.
        sub_centers: number of centres per individual, of which the nearest one counts, as in `arcface`.
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
        margin: Relaxation = 0.25,
        scale: Positive = 256.0,
        sub_centers: Annotated[int, Ge(1), Le(1000)] = 1,
        *,
        embedding_dim: Count,
        num_classes: Count,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.sub_centers = sub_centers
        self.centers = random_centers("loss 'circle-classes'", num_classes, sub_centers, embedding_dim)

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`, in float32 or better."""
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=self.centers.shape[1], classes=len(self.centers) // self.sub_centers
        )
        cosines = nearest_center_cosines(embeddings, self.centers, self.sub_centers)
        own = labels[:, None]
        positive = positive_logits(cosines.gather(1, own)[:, 0], self.margin, self.scale)
        others = torch.ones_like(cosines, dtype=torch.bool).scatter_(1, own, False)
        negatives = log_sum_exp(negative_logits(cosines, self.margin, self.scale), others, dim=1)
        return mean_of(log_one_plus_exp(positive + negatives))
