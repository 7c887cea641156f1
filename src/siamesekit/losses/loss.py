"""What every loss component is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from siamesekit.component_faults import given
from siamesekit.errors import ComponentError
from siamesekit.triplets import Tuples


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


def mean_of(losses: Tensor) -> LossValue:
    """The mean of the terms' losses `[T]`; 0, with a gradient of 0, where there are none."""
    if len(losses) == 0:
        none = losses.sum()
        return LossValue(none, none.detach(), none.detach())
    objective = losses.mean()
    return LossValue(objective, objective.detach(), (losses.detach() > 0).double().mean())


def loss_value_of(value: Any) -> LossValue:
    """What a loss gave, as a `LossValue`; of a scalar alone it is the mean, too, and active where it is above 0.

    Raises:
        ComponentError: it is neither.
    """
    if isinstance(value, LossValue):
        return value
    if problem := problem_of_value(value):
        raise ComponentError(f"the loss gives {problem}")
    objective: Tensor = value
    return LossValue(objective, objective.detach(), (objective.detach() > 0).double())


def problem_of_value(value: Any) -> str:
    """What is wrong with what a loss gave, in words; empty where nothing is."""
    if not isinstance(value, LossValue):
        if isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point():
            return ""
        return f"{given(value)}; expected LossValue(objective, mean, active), or the objective alone, a scalar tensor"
    for name in ("objective", "mean", "active"):
        figure = getattr(value, name)
        if not isinstance(figure, Tensor) or figure.ndim != 0 or not figure.is_floating_point():
            return f"{given(figure)} as its {name}; expected a float tensor [], a scalar"
    return ""


class Loss(Protocol):
    """A loss of embeddings `[N, D]`, their individuals int64 `[N]`, and triplets or pairs of indices into them.

    It may give the objective alone, a scalar tensor, in place of a `LossValue` (`loss_value_of`).

    Without tuples it is over all that the individuals make. In training the individuals are numbered 0 … C − 1, C being
    `num_classes`.

    A loss may be a `torch.nn.Module`. Then its parameters train beside the encoder's, its `state_dict` is kept in
    checkpoints, and in `eval()` mode a call changes nothing in it.

    It may have attributes, which say what it cannot be combined with (`siamesekit.compatibility`):

    - `by_class = True`: it compares embeddings with something it holds for each training individual (proxies, class
      weights), so it has no value for individuals that did not train, and takes no miner's tuples.
    - `measures_by = "cosine"`: it fixes its own measure; the run's distance must rank as that does.
    - `mean_over_photos = True`: with tuples, too, its mean is over all N embeddings, not over what the tuples name, so
      `cross-batch-memory`, which hands it more embeddings than may be anchors, scales it.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        """The batch's loss."""
        ...
