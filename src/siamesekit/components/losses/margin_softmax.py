"""Classification of embeddings by their cosines with learned centres, with a margin for the true individual."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.class_cosines import nearest_center_cosines, random_centers
from siamesekit.components.losses.class_margins import class_margins
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.losses.softmax_terms import softmax_terms
from siamesekit.components.tuples import Tuples


class MarginSoftmaxLoss(nn.Module, ABC):
    """The mean cross-entropy of scale · cos θ over all individuals, with a margin for the true one.

    Subclasses define `with_margin`, and a constructor that sets the attributes.

    Attributes:
        margin: margin of all individuals, or the greatest one.
        smallest_margin: margin of the individuals with the most photos; None if all have the same.
        scale: factor of the cosines.
        sub_centers: number S of centres per individual.
        smoothing: share of the target that is divided evenly among all individuals.
        centers: the centres, `[C · S, D]`, ordered by individual.
        margins: margins of the individuals, `[C]`; None if all have the same.
    """

    by_class = True
    measures_by = "cosine"

    margin: float
    smallest_margin: float | None
    scale: float
    sub_centers: int
    smoothing: float
    centers: nn.Parameter
    margins: Tensor | None

    def _add_individuals(
        self, component: str, embedding_dim: int, num_classes: int, class_counts: Labels | None
    ) -> None:
        """Make the centres and margins of the C individuals; the options are set before.

        Args:
            component: kind and name of the loss, for errors.
            embedding_dim: D.
            num_classes: C.
            class_counts: number of photos of each individual, `[C]`.

        Raises:
            ComponentError: the centres exceed the largest size of a component, or the margins do not fit.
        """
        self.centers = random_centers(component, num_classes, self.sub_centers, embedding_dim)
        margins = class_margins(component, self.margin, self.smallest_margin, num_classes, class_counts)
        self.register_buffer("margins", margins, persistent=False)  # known from the data whenever a run continues

    @staticmethod
    @abstractmethod
    def with_margin(cosine: Tensor, margin: float | Tensor) -> Tensor:
        """The cosine with the true individual, `[N]`, lowered by the margin, one number or `[N]`."""

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`, in float32 or better."""
        embeddings, labels, _ = checked_batch(
            embeddings, labels, tuples, dimensions=self.centers.shape[1], classes=len(self.centers) // self.sub_centers
        )
        cosines = nearest_center_cosines(embeddings, self.centers, self.sub_centers)
        own = labels[:, None]
        lowered = self.with_margin(cosines.gather(1, own), self._margins_of(own, cosines))
        logits = self.scale * cosines.scatter(1, own, lowered)
        return mean_of(F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing))

    def terms(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """What the n individuals of this loss add to a loss over more (`softmax_terms`): `[N, D]` → `[4, N]`.

        Args:
            embeddings: embeddings of the batch, in float32 or better.
            labels: int64 `[N]`; below 0 or from n on for photos of individuals that this loss does not hold.
        """
        cosines = nearest_center_cosines(embeddings, self.centers, self.sub_centers)
        rows = ((labels >= 0) & (labels < cosines.shape[1])).nonzero()[:, 0]
        own = labels[rows]
        lowered = self.with_margin(cosines[rows, own], self._margins_of(own, cosines))
        logits = self.scale * cosines.index_put((rows, own), lowered)
        return softmax_terms(logits, rows, own, self.smoothing > 0)

    def hold(self, centers: Tensor, margins: Tensor | None) -> None:
        """Hold other individuals from now on, such as a part of those that train.

        Args:
            centers: their centres, `[n · S, D]`, ordered by individual.
            margins: their margins, `[n]`; None if all have the same.
        """
        self.centers = nn.Parameter(centers)
        self.margins = margins

    def _margins_of(self, individuals: Tensor, cosines: Tensor) -> float | Tensor:
        """The margins of individuals, int64 `[…]`, one number or `[…]`, in the number format of the cosines."""
        return self.margin if self.margins is None else self.margins[individuals].to(cosines.dtype)
