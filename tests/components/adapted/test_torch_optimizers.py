"""Optimizers `torch/*`: steps equal PyTorch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from siamesekit.errors import ComponentError
from siamesekit.registry import OPTIMIZERS

CLASSES = {
    "asgd": torch.optim.ASGD, "adadelta": torch.optim.Adadelta, "adafactor": torch.optim.Adafactor,
    "adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam, "radam": torch.optim.RAdam, "rmsprop": torch.optim.RMSprop, "rprop": torch.optim.Rprop,
    "sgd": torch.optim.SGD,
}  # fmt: skip
OTHER: dict[str, dict[str, Any]] = {
    "adadelta": {"rho": 0.8},
    "adafactor": {"beta2_decay": -0.5, "d": 1.5, "eps": [1e-20, 1e-2]},
    "adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.2},
    "adam": {"betas": [0.8, 0.99], "amsgrad": True},
    "adamw": {"betas": [0.5, 0.9], "weight_decay": 0.1},
    "adamax": {"betas": [0.7, 0.8]},
    "asgd": {"lambd": 0.1},
    "nadam": {"momentum_decay": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.2},
    "radam": {"betas": [0.5, 0.6]},
    "rmsprop": {"momentum": 0.9, "centered": True},
    "rprop": {"etas": [0.4, 1.3], "step_sizes": [1e-5, 10]},
    "sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
}
"""Options that are not the defaults, as TOML gives them."""


def walk(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> list[Tensor]:
    """Where some steps on a bowl lead."""
    places = []
    for step in range(8):
        optimizer.zero_grad()
        ((parameter - step) ** 2).sum().backward()
        optimizer.step()
        places.append(parameter.detach().clone())
    return places


def start() -> nn.Parameter:
    return nn.Parameter(torch.tensor([[1.0, -2.0], [0.3, 4.0]], dtype=torch.float64))


def test_every_member_is_tried() -> None:
    assert set(CLASSES) == set(OTHER) == set(OPTIMIZERS.family("torch").members())


@pytest.mark.parametrize("name", CLASSES)
def test_steps_with_the_defaults_are_torch_s(name: str) -> None:
    ours, theirs = start(), start()
    found = walk(OPTIMIZERS.build(f"torch/{name}", params=[ours]), ours)
    expected = walk(CLASSES[name]([theirs]), theirs)
    assert all(torch.equal(mine, their) for mine, their in zip(found, expected, strict=True))
    assert not torch.equal(found[0], start())


@pytest.mark.parametrize("name", CLASSES)
def test_options_reach_torch(name: str) -> None:
    options = {"lr": 0.05, **OTHER[name]}
    ours, theirs, plain = start(), start(), start()
    found = walk(OPTIMIZERS.build(f"torch/{name}", options, params=iter([ours])), ours)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    expected = walk(CLASSES[name]([theirs], **given), theirs)
    assert all(torch.equal(mine, their) for mine, their in zip(found, expected, strict=True))
    without = walk(OPTIMIZERS.build(f"torch/{name}", {"lr": 0.05}, params=[plain]), plain)
    assert not torch.equal(found[-1], without[-1]), "the options show"


def test_groups_keep_their_learning_rates() -> None:
    first, second = start(), start()
    optimizer = OPTIMIZERS.build("torch/sgd", params=[{"params": [first], "lr": 0.5}, {"params": [second]}])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.001]


@pytest.mark.parametrize(
    ("name", "options"),
    [("sgd", {"nesterov": True}), ("adam", {"betas": [0.9, 1.0]}), ("rprop", {"etas": [2.0, 1.2]})],
)
def test_what_torch_refuses_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ComponentError, match=rf"^torch/{name} refuses these options: .+"):
        OPTIMIZERS.build(f"torch/{name}", options, params=[start()])
