"""The protocol `Loss` of loss components, and their result `LossValue`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from siamesekit.components.tuples import Tuples
from siamesekit.errors import ComponentError
from siamesekit.registry.component_faults import given


@dataclass(frozen=True, eq=False)
class LossValue:
    """The loss of a batch. It acts as its objective in arithmetic, in PyTorch functions and as a number.

    `value.backward()` is `value.objective.backward()`, and `0.5 * value + other` is a plain tensor with a gradient. The
    three parts can be unpacked, `objective, mean, active = value`, and indexed, `value[0]` to `value[2]`.

    Attributes:
        objective: scalar whose gradient trains the weights.
        mean: scalar without gradient, the mean loss over the terms of the loss, such as triplets. This is the reported
            loss.
        active: scalar without gradient, the share of the terms with a loss above 0; NaN if the loss has no terms.

    >>> value = LossValue(torch.tensor(3.0), torch.tensor(1.5), torch.tensor(0.5))
    >>> 2 * value + 1
    tensor(7.)
    >>> f"{value:.2f}"
    '3.00'
    """

    __module__ = "siamesekit"

    objective: Tensor
    mean: Tensor
    active: Tensor

    __array_ufunc__ = None
    """NumPy numbers on the left of an operator defer to this class."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Apply any PyTorch function to the objective."""
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
        """Add the gradient of the objective, a scalar `[]`, to the `grad` of the tensors that it depends on.

        The arguments are those of `torch.Tensor.backward`.

        Args:
            gradient: scalar factor of the gradient; 1 by default.
            retain_graph: whether the graph is kept for another backward pass.
            create_graph: whether the gradient can itself be differentiated.
            inputs: tensors that receive gradients; by default all that the objective depends on.
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
        """The node of the objective in PyTorch's graph."""
        return self.objective.grad_fn

    @property
    def device(self) -> torch.device:
        """The device of the objective."""
        return self.objective.device

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the objective."""
        return self.objective.dtype

    @property
    def shape(self) -> torch.Size:
        """The shape of the objective, which is a scalar: `[]`."""
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
    """A value in which each `LossValue`, also in lists, tuples and dicts, is replaced by its objective."""
    if isinstance(value, LossValue):
        return value.objective
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return {key: _plain(item) for key, item in value.items()} if type(value) is dict else value


def mean_of(losses: Tensor) -> LossValue:
    """The mean of the losses of T terms, `[T]`; 0 with a gradient of 0 if T = 0."""
    if len(losses) == 0:
        none = losses.sum()
        return LossValue(none, none.detach(), none.detach())
    objective = losses.mean()
    return LossValue(objective, objective.detach(), (losses.detach() > 0).double().mean())


def loss_value(value: Any) -> LossValue:
    """The result of a loss as a `LossValue`. A plain scalar becomes objective and mean, with unknown active terms.

    Raises:
        ComponentError: the result is neither a `LossValue` nor a scalar.
    """
    if problem := problem_of_value(value):
        raise ComponentError(f"the loss gives {problem}")
    if isinstance(value, LossValue):
        return value
    objective: Tensor = value
    return LossValue(objective, objective.detach(), torch.full_like(objective.detach(), torch.nan))


def problem_of_value(value: Any) -> str:
    """What is wrong with the result of a loss, as a message; empty if it is valid."""
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
    """A loss of embeddings `[N, D]`, individuals int64 `[N]`, and triplets or pairs as indices into the batch.

    Without tuples, the loss is over all triplets or pairs of the batch. In training the individuals are numbered
    0 … C − 1, C being `num_classes`. A loss may return a plain scalar tensor in place of a `LossValue`; a run then
    reports no share of active terms.

    A loss may be a `torch.nn.Module`. Its parameters then train with the encoder, checkpoints save its `state_dict`,
    and a call in `eval()` mode must not change it.

    Optional attributes declare limits on combinations (`siamesekit.experiment.compatibility`):

    - `by_class = True`: the loss compares embeddings with parameters of each training individual (proxies, class
      weights). It has no value for other individuals, and takes no tuples from a miner.
    - `measures_by = "cosine"`: the loss fixes its own measure; the run's distance must rank embeddings alike.
    - `assumes_unit_length = "margin"`: the default of this option holds for embeddings of length 1; other embeddings
      need an explicit value.
    - `out_of_reach(least, greatest)`: a message about a margin that no distance in this range reaches, or None.
    - `mean_over_photos = True`: even with tuples, the mean is over all N embeddings. `cross-batch-memory`, which
      passes more embeddings than anchors, rescales the loss.
    - `takes_before_neck = True`: a call takes a fourth argument by name, `before_neck`: the embeddings `[N, D]` before
      the neck of the head (`encoder.head.neck`), scaled to length 1 if embeddings are. It is None without a neck and
      outside training; the loss then takes the embeddings in their place.
    - `takes_remembered = True`: a call takes `remembered` by name, the number of the last embeddings. They are those of
      a memory: no anchors, and without gradient.
    - `takes_tuples`: whether triplets or pairs of a sampler or a miner are used, if it does not follow from `by_class`.
    - `fits_into_memory = False`: the loss cannot be the inner loss of `cross-batch-memory`.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        """The loss of a batch."""
        ...


Loss.__module__ = "siamesekit"
