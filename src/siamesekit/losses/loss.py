"""What every loss component is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from siamesekit.triplets import Triplets


class LossValue(NamedTuple):
    """A batch's loss.

    Attributes:
        objective: scalar; its gradient moves the weights.
        elements: `[T]`, the loss of each triplet (or whatever the loss is a sum over); their mean is reported.
    """

    objective: Tensor
    elements: Tensor


class Loss(Protocol):
    """A loss of embeddings `[N, D]`, their individuals int64 `[N]`, and triplets of indices into them."""

    def __call__(self, embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        """The batch's loss."""
        ...
