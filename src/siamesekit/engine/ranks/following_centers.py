"""The centres of a process that follows, with their optimizer and average: it carries out the leader's orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.components.losses.margin_softmax import MarginSoftmaxLoss
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.hardware.ranks import LEADER, Ranks

Values = Mapping[str, Any]


class FollowingCenters:
    """The centres of some individuals; the order `centers` says what is done to them.

    A process that holds no individual computes nothing, but takes part in sums over all processes.

    Args:
        ranks: the connection to the leader.
        device: device on which to compute.
        make_loss: makes the run's loss for one individual, from the embeddings' dimensions D.
        make_optimizer: makes the optimizer of the loss's parameters.
    """

    def __init__(
        self,
        ranks: Ranks,
        device: torch.device,
        make_loss: Callable[[int], MarginSoftmaxLoss],
        make_optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    ) -> None:
        self.ranks = ranks
        self.device = device
        self._make = make_loss, make_optimizer
        self._held: _Held | None = None
        self._first = 0
        self._embeddings = torch.empty(0)
        self._terms: Tensor | None = None

    def carry_out(self, values: Values, numbers: dict[str, Tensor]) -> None:
        """Carry out one order: its values, and the labels int64 `[N]` of a batch."""
        getattr(self, f"_{values['do']}")(values, numbers)

    def _begin(self, values: Values, numbers: dict[str, Tensor]) -> None:
        counts, rank, dtype = values["counts"], self.ranks.place.rank, getattr(torch, values["dtype"])
        count, self._first, self._held = counts[rank], sum(counts[:rank]), None
        if count:
            make_loss, make_optimizer = self._make
            loss = make_loss(values["dimensions"])
            centers = self._received((count * values["each"], values["dimensions"]), dtype)
            margins = self._received((count,), torch.float64).to(self.device) if values["margins"] else None
            loss.hold(centers.to(self.device), margins)
            self._held = _Held(loss.train(), make_optimizer([loss.centers]), values["average"])
        self.ranks.report()

    def _terms_of(self, values: Values, numbers: dict[str, Tensor]) -> None:
        shape, dtype = values["shape"], getattr(torch, values["dtype"])
        self._embeddings = self.ranks.broadcast(torch.empty(shape, dtype=dtype, device=self.device))
        self._terms = None
        if self._held is not None:
            labels = numbers["labels"].to(self.device) - self._first
            with torch.set_grad_enabled(values["gradient"]):
                self._terms = self._held.loss.terms(self._embeddings.requires_grad_(values["gradient"]), labels)
        self.ranks.report()
        if self._terms is not None:
            self.ranks.send(self._terms.detach(), LEADER)

    def _backward(self, values: Values, numbers: dict[str, Tensor]) -> None:
        terms = self._terms
        self._terms = None
        if terms is not None:
            gradient = self.ranks.receive(torch.empty_like(terms[1:]), LEADER)
            terms[1:].backward(gradient)
        self.ranks.report()
        found = self._embeddings.grad
        self.ranks.add_to_leader(torch.zeros_like(self._embeddings) if found is None else found)

    def _clear(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self._held is not None:
            self._held.optimizer.zero_grad(set_to_none=True)
        self.ranks.report()

    def _divide(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self._held is not None and self._held.centers.grad is not None:
            self._held.centers.grad /= values["by"]
        self.ranks.report()

    def _norm(self, values: Values, numbers: dict[str, Tensor]) -> None:
        gradient = None if self._held is None else self._held.centers.grad
        self.ranks.report(0.0 if gradient is None else torch.linalg.vector_norm(gradient).item())

    def _clip(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self._held is not None:
            norm = torch.tensor(values["norm"], dtype=self._held.centers.dtype, device=self.device)
            torch.nn.utils.clip_grads_with_norm_([self._held.centers], values["limit"], norm)
        self.ranks.report()

    def _step(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self._held is not None:
            for group, rate in zip(self._held.optimizer.param_groups, values["rates"], strict=True):
                group["lr"] = rate
            self._held.optimizer.step()
        self.ranks.report()

    def _average(self, values: Values, numbers: dict[str, Tensor]) -> None:
        if self._held is not None and self._held.average is not None:
            average, applied = self._held.average, self._held.applied
            {
                "update": average.update,
                "apply": average.apply,
                "begin": lambda: applied.enter_context(average.applied()),
                "end": applied.close,
            }[values["how"]]()
        self.ranks.report()

    def _give(self, values: Values, numbers: dict[str, Tensor]) -> None:
        """Send the leader tensors by their names."""
        self.ranks.report()
        if self._held is not None:
            for name in values["names"]:
                self.ranks.send(self._held.tensor(name).detach().cpu(), LEADER)

    def _take(self, values: Values, numbers: dict[str, Tensor]) -> None:
        """Continue from tensors that the leader sends."""
        if self._held is not None:
            for name in values["names"]:
                like = self._held.centers
                self._held.put(name, self._received(tuple(like.shape), like.dtype))
            if self._held.average is not None and values["updates"] is not None:
                self._held.average.updates = values["updates"]
        self.ranks.report()

    def _optimizer(self, values: Values, numbers: dict[str, Tensor]) -> None:
        """Continue from a state of the optimizer that the leader sends."""
        if self._held is not None:
            dtype, shape = self._held.centers.dtype, tuple(self._held.centers.shape)
            same = values["same"].items()
            state = {
                **values["plain"],
                **{name: torch.tensor(value, dtype=getattr(torch, kind)) for name, (value, kind) in same},
                **{name: self._received(shape, dtype) for name in values["names"]},
            }
            self._held.continue_from(state, values["options"])
        self.ranks.report()

    def _received(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor `[n, …]` that the leader sends, on the CPU."""
        return self.ranks.receive(torch.empty(shape, dtype=dtype), LEADER)


class _Held:
    """Centres of at least one individual, with what belongs to them."""

    def __init__(self, loss: MarginSoftmaxLoss, optimizer: torch.optim.Optimizer, decay: float) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self.average = WeightAverage([loss], decay) if decay > 0 else None
        self.applied = ExitStack()

    @property
    def centers(self) -> nn.Parameter:
        """The centres `[n · S, D]`."""
        return self.loss.centers

    def tensor(self, name: str) -> Tensor:
        """The centres, their gradient, their average, or a tensor of the optimizer's state, `[n · S, D]`."""
        if name == "centers":
            return self.centers
        if name == "gradient":
            return torch.zeros_like(self.centers) if self.centers.grad is None else self.centers.grad
        if name == "average":
            assert self.average is not None
            return self.average.average[0]
        found: Tensor = self.optimizer.state[self.centers][name.removeprefix("optimizer/")]
        return found

    @torch.no_grad()
    def put(self, name: str, values: Tensor) -> None:
        """Replace the centres, their gradient or their average."""
        if name == "gradient":
            self.centers.grad = torch.empty_like(self.centers)
        self.tensor(name).copy_(values)

    def continue_from(self, state: dict[str, Any], options: list[dict[str, Any]]) -> None:
        """Continue the optimizer from a state of the centres, and the options of its groups."""
        now = self.optimizer.state_dict()
        groups = []
        for group, given in zip(now["param_groups"], options, strict=True):
            kept = {name: tuple(each) if isinstance(group.get(name), tuple) else each for name, each in given.items()}
            groups.append({**group, **kept})
        self.optimizer.load_state_dict({"state": {0: state} if state else {}, "param_groups": groups})
