"""What every loss component is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from siamesekit.component_faults import given
from siamesekit.errors import ComponentError
from siamesekit.triplets import Tuples


@dataclass(frozen=True, eq=False)
class LossValue:
    """A batch's loss: its objective wherever a tensor is wanted, in arithmetic, in PyTorch's functions, as a number.

    `value.backward()` is `value.objective.backward()`, and what comes of `0.5 * value + other` is a plain tensor with
    its gradient. The three parts can be unpacked, `objective, mean, active = value`, and are `value[0]`
    to `value[2]`.

    Attributes:
        objective: scalar; its gradient moves the weights.
        mean: scalar without gradient, the mean loss of the terms, triplets or whatever the loss is a sum over; it is
            what is reported.
        active: scalar without gradient, the share of the terms with a loss above 0; NaN where the loss has no terms.

    >>> value = LossValue(torch.tensor(3.0), torch.tensor(1.5), torch.tensor(0.5))
    >>> 2 * value + 1
    tensor(7.)
    >>> f"{value:.2f}"
    '3.00'
    """

    objective: Tensor
    mean: Tensor
    active: Tensor

    __array_ufunc__ = None
    """A NumPy number on the left leaves the operation to this class."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Any function of PyTorch, of the objective."""
        return func(*_plain(tuple(args)), **_plain(dict(kwargs or {})))

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.objective, self.mean, self.active))

    def __getitem__(self, place: int) -> Tensor:
        return (self.objective, self.mean, self.active)[place]

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """The gradient of the objective, a scalar `[]`, is added to the `grad` of what it depends on.

        Args:
            gradient: scalar by which it is multiplied; 1 by default.
            retain_graph: as `torch.Tensor.backward` takes it, and the next two.
            create_graph: whether the gradient has a gradient.
            inputs: where gradients go; by default to all that it depends on.
        """
        self.objective.backward(gradient, retain_graph, create_graph, inputs)

    def item(self) -> float:
        """The objective as a number."""
        return float(self.objective.item())

    def detach(self) -> Tensor:
        """The objective without its gradient."""
        return self.objective.detach()

    @property
    def requires_grad(self) -> bool:
        """Whether the objective has a gradient."""
        return self.objective.requires_grad

    @property
    def grad_fn(self) -> Any:
        """What the objective came of, in PyTorch's graph."""
        return self.objective.grad_fn

    @property
    def device(self) -> torch.device:
        """Where the objective is."""
        return self.objective.device

    @property
    def dtype(self) -> torch.dtype:
        """The objective's type."""
        return self.objective.dtype

    @property
    def shape(self) -> torch.Size:
        """The objective's, that of a scalar."""
        return self.objective.shape

    def __float__(self) -> float:
        return self.item()

    def __bool__(self) -> bool:
        return bool(self.objective)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __add__(self, other: Any) -> Any:
        return self.objective + _plain(other)

    def __radd__(self, other: Any) -> Any:
        return _plain(other) + self.objective

    def __sub__(self, other: Any) -> Any:
        return self.objective - _plain(other)

    def __rsub__(self, other: Any) -> Any:
        return _plain(other) - self.objective

    def __mul__(self, other: Any) -> Any:
        return self.objective * _plain(other)

    def __rmul__(self, other: Any) -> Any:
        return _plain(other) * self.objective

    def __truediv__(self, other: Any) -> Any:
        return self.objective / _plain(other)

    def __rtruediv__(self, other: Any) -> Any:
        return _plain(other) / self.objective

    def __pow__(self, other: Any) -> Any:
        return self.objective ** _plain(other)

    def __neg__(self) -> Tensor:
        return -self.objective

    def __pos__(self) -> Tensor:
        return self.objective

    def __abs__(self) -> Tensor:
        return self.objective.abs()

    def __lt__(self, other: Any) -> Any:
        return self.objective < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self.objective <= _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.objective > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.objective >= _plain(other)

    def __eq__(self, other: Any) -> Any:
        return self.objective == _plain(other)

    def __ne__(self, other: Any) -> Any:
        return self.objective != _plain(other)

    __hash__ = object.__hash__


def _plain(value: Any) -> Any:
    """A value, or what is in lists, tuples and tables, with objectives in the place of losses' values."""
    if isinstance(value, LossValue):
        return value.objective
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return {key: _plain(item) for key, item in value.items()} if type(value) is dict else value


def mean_of(losses: Tensor) -> LossValue:
    """The mean of the terms' losses `[T]`; 0, with a gradient of 0, where there are none."""
    if len(losses) == 0:
        none = losses.sum()
        return LossValue(none, none.detach(), none.detach())
    objective = losses.mean()
    return LossValue(objective, objective.detach(), (losses.detach() > 0).double().mean())


def loss_value(value: Any) -> LossValue:
    """What a loss gave as a `LossValue`; a plain scalar is its objective and its mean, its terms are not known.

    Raises:
        ComponentError: it is neither.
    """
    if problem := problem_of_value(value):
        raise ComponentError(f"the loss gives {problem}")
    if isinstance(value, LossValue):
        return value
    objective: Tensor = value
    return LossValue(objective, objective.detach(), torch.full_like(objective.detach(), torch.nan))


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

    Without tuples it is over all that the individuals make. In training the individuals are numbered 0 … C − 1, C being
    `num_classes`. A run takes a plain scalar tensor for a `LossValue` too, and then knows no share of active terms.

    A loss may be a `torch.nn.Module`. Then its parameters train beside the encoder's, its `state_dict` is kept in
    checkpoints, and in `eval()` mode a call changes nothing in it.

    It may have attributes, which say what it cannot be combined with (`siamesekit.compatibility`):

    - `by_class = True`: it compares embeddings with something it holds for each training individual (proxies, class
      weights), so it has no value for individuals that did not train, and takes no miner's tuples.
    - `measures_by = "cosine"`: it fixes its own measure; the run's distance must rank as that does.
    - `assumes_unit_length = "margin"`: the default of this option is for embeddings of length 1; of others it has to be
      given.
    - `out_of_reach(least, greatest)`: says in words which margin no distance in that range reaches, or None.
    - `mean_over_photos = True`: with tuples, too, its mean is over all N embeddings, not over what the tuples name, so
      `cross-batch-memory`, which hands it more embeddings than may be anchors, scales it.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        """The batch's loss."""
        ...
