"""Which optimizers may move the rows of a matrix in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from siamesekit.engine.optimizers_by_rows import moves_by_rows
from siamesekit.registry import OPTIMIZERS

TORCH = [f"torch/{name}" for name in OPTIMIZERS.family("torch").members()]
NAMES = [*(name for name in OPTIMIZERS.names() if "*" not in name), *TORCH]


@pytest.mark.parametrize("name", NAMES)
def test_all_optimizers_but_adafactor_treat_each_row_by_itself(name: str) -> None:
    assert moves_by_rows(lambda params: OPTIMIZERS.build(name, {}, params=params)) == (name != "torch/adafactor")


@pytest.mark.parametrize("options", [{"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True}])
def test_options_are_tried_too(options: dict[str, Any]) -> None:
    assert moves_by_rows(lambda params: torch.optim.SGD(params, lr=0.1, **options))


class Trusting(torch.optim.SGD):
    """Steps as long as the parameter, as LARS and LAMB do."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        for each in self.param_groups[0]["params"]:
            each.grad *= each.detach().norm() / each.grad.norm()
        return super().step(closure)


class Clipping(torch.optim.SGD):
    """Shortens long gradients only."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 100.0)
        return super().step(closure)


class Drawing(torch.optim.SGD):
    """Adds noise."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        for each in self.param_groups[0]["params"]:
            each.grad += 1e-3 * torch.randn_like(each)
        return super().step(closure)


class Remembering(torch.optim.SGD):
    """Keeps a mean of the columns, and does not use it yet."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        for each in self.param_groups[0]["params"]:
            self.state[each]["mean"] = each.grad.mean(0)
        return super().step(closure)


@pytest.mark.parametrize("kind", [Trusting, Clipping, Drawing, Remembering])
def test_what_looks_at_the_whole_matrix_does_not(kind: type[torch.optim.SGD]) -> None:
    assert moves_by_rows(lambda params: torch.optim.SGD(params, lr=0.01))
    assert not moves_by_rows(lambda params: kind(params, lr=0.01))
