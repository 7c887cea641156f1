"""The optimizer of centres that are divided among processes: each process moves its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.engine.ranks.dealt_state import named
from siamesekit.engine.ranks.leading_centers import LeadingCenters

PREFIX = "optimizer/"
"""Before the names of the tensors of an optimizer's state, where they are sent."""


class DealtOptimizer:
    """The leader's optimizer of its own centres, and orders to those of the other processes.

    Its state is that of the optimizer of all centres in one process. The optimizer must treat each row by itself
    (`siamesekit.engine.optimizers_by_rows`).

    Args:
        own: the optimizer of the leader's own centres.
        centers: the connection to the centres of the other processes.
    """

    def __init__(self, own: torch.optim.Optimizer, centers: LeadingCenters) -> None:
        self.own = own
        self._centers = centers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the leader's own optimizer; the others take their learning rates at each step."""
        return self.own.param_groups

    @property
    def parameter(self) -> nn.Parameter:
        """The leader's own centres."""
        return self._centers.loss.centers

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all centres."""
        self.own.zero_grad(set_to_none)
        self._centers.ordered("clear")

    def step(self) -> None:
        """Move all centres by their gradients."""
        self._centers.order("step", rates=[float(group["lr"]) for group in self.param_groups])
        self.own.step()
        self._centers.ranks.reports()

    def divide_elsewhere(self, by: int) -> None:
        """Divide the gradients of the other processes' centres."""
        self._centers.ordered("divide", by=by)

    def norms_elsewhere(self) -> list[float]:
        """The norm of the gradient of each other process's centres."""
        return self._centers.ordered("norm")

    def clip_elsewhere(self, limit: float, norm: float) -> None:
        """Scale the gradients of the other processes' centres as those of a gradient with a norm above a limit."""
        self._centers.ordered("clip", limit=limit, norm=norm)

    def gradient(self) -> Tensor | None:
        """The gradient of all centres, `[C · S, D]`; None if there is none."""
        own = self.parameter.grad
        return None if own is None else self._centers.gathered({"gradient": own})["gradient"]

    def put_gradient(self, gradient: Tensor | None) -> None:
        """Continue with a gradient of all centres, `[C · S, D]`; None clears it."""
        if gradient is None:
            self.zero_grad()
            return
        own = self._centers.dealt({"gradient": gradient})["gradient"]
        self.parameter.grad = torch.empty_like(self.parameter).copy_(own)

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer of all centres."""
        state = self.own.state_dict()
        if not state["state"]:
            return state
        (key, entries), *_ = state["state"].items()
        by_row = {PREFIX + name: each for name, each in entries.items() if _is_like(each, self.parameter)}
        whole = {name.removeprefix(PREFIX): each for name, each in self._centers.gathered(by_row).items()}
        return {**state, "state": {key: {**entries, **whole}}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of the optimizer of all centres.

        Raises:
            ValueError: it is the state of other centres.
        """
        centers = self._centers
        entries = state["state"].get(0, {})
        same = {name: each for name, each in entries.items() if isinstance(each, Tensor) and each.ndim == 0}
        by_row = {name: each for name, each in entries.items() if isinstance(each, Tensor) and name not in same}
        for name, each in by_row.items():
            centers.refuse_other_shape(name, each)
        centers.order(
            "optimizer",
            names=list(by_row),
            same={name: [each.item(), named(each.dtype)] for name, each in same.items()},
            plain={name: each for name, each in entries.items() if not isinstance(each, Tensor)},
            options=[
                {name: each for name, each in group.items() if name != "params"} for group in state["param_groups"]
            ],
        )
        own = {name: centers.rows.dealt(each.to(self.parameter.dtype)) for name, each in by_row.items()}
        centers.ranks.reports()
        self.own.load_state_dict({**state, "state": {0: {**entries, **own}} if entries else {}})


def _is_like(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
