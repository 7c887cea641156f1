"""What every loss component is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from siamesekit.triplets import Triplets


class LossValue(NamedTuple):
    """A batch's loss.

    Attributes:
        objective: scalar; its gradient moves the weights.
        mean: scalar without gradient, the mean loss of the terms, triplets or whatever the loss is a sum over; it is
            what is reported.
        active: scalar without gradient, the share of the terms with a loss above 0.
    """

    objective: Tensor
    mean: Tensor
    active: Tensor


class Loss(Protocol):
    """A loss of embeddings `[N, D]`, their individuals int64 `[N]`, and triplets of indices into them.

    Without triplets it is over all that the individuals make.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor, triplets: Triplets | None) -> LossValue:
        """The batch's loss."""
        ...
