"""Schedules `torch/*`: factor times learning rate is what PyTorch's scheduler makes of a real optimizer's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from siamesekit.errors import ComponentError
from siamesekit.registry import SCHEDULES

STEPS, STEPS_PER_EPOCH, LR = 60, 5, 0.2
EPOCHS = 12
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "constant": ("constant", "ConstantLR", {"factor": 0.5, "total_iters": 4}, {"factor": 0.5, "total_iters": 4}),
    "constant, defaults": ("constant", "ConstantLR", {}, {}),
    "cosine-annealing": ("cosine-annealing", "CosineAnnealingLR", {"eta_min": 0.01}, {"T_max": None, "eta_min": 0.01}),
    "cosine-annealing, short": ("cosine-annealing", "CosineAnnealingLR", {"T_max": 3}, {"T_max": 3}),
    "cosine-annealing-warm-restarts": ("cosine-annealing-warm-restarts", "CosineAnnealingWarmRestarts",
                                       {"T_0": 2, "T_mult": 2}, {"T_0": 2, "T_mult": 2}),
    "cyclic": ("cyclic", "CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 3},
               {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 3, "cycle_momentum": False}),
    "cyclic, exp_range": (
        "cyclic", "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 2, "step_size_down": 3, "mode": "exp_range", "gamma": 0.9},
        {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 2, "step_size_down": 3, "mode": "exp_range", "gamma": 0.9,
         "cycle_momentum": False},
    ),
    "exponential": ("exponential", "ExponentialLR", {"gamma": 0.8}, {"gamma": 0.8}),
    "linear": ("linear", "LinearLR", {"total_iters": 4}, {"total_iters": 4}),
    "multi-step": ("multi-step", "MultiStepLR", {"milestones": [2, 5], "gamma": 0.3},
                   {"milestones": [2, 5], "gamma": 0.3}),
    "one-cycle": ("one-cycle", "OneCycleLR", {"max_lr": 0.5}, {"max_lr": 0.5, "total_steps": None,
                                                               "cycle_momentum": False}),
    "one-cycle, longer": ("one-cycle", "OneCycleLR", {"max_lr": 0.5, "total_steps": 100, "anneal_strategy": "linear"},
                          {"max_lr": 0.5, "total_steps": 100, "anneal_strategy": "linear", "cycle_momentum": False}),
    "polynomial": ("polynomial", "PolynomialLR", {"total_iters": 9, "power": 2}, {"total_iters": 9, "power": 2}),
    "step": ("step", "StepLR", {"step_size": 3}, {"step_size": 3}),
}  # fmt: skip


def build(name: str, options: dict[str, Any]) -> Any:
    return SCHEDULES.build(f"torch/{name}", options, steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH, lr=LR)


def rates(class_name: str, arguments: dict[str, Any], units: int) -> list[float]:
    """The learning rates of a real optimizer beside which PyTorch's scheduler runs, in each unit."""
    arguments = {
        key: units if key in ("T_max", "total_steps") and value is None else value for key, value in arguments.items()
    }
    optimizer = torch.optim.Adam([nn.Parameter(torch.ones(2))], lr=LR)
    scheduler = getattr(torch.optim.lr_scheduler, class_name)(optimizer, **arguments)
    found = []
    for unit in range(units):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if unit < units - 1:
            scheduler.step()
    return found


def test_every_member_is_tried() -> None:
    assert {name for name, _, _, _ in CASES.values()} == set(SCHEDULES.family("torch").members())


@pytest.mark.parametrize("every", ["epoch", "step"])
@pytest.mark.parametrize("case", CASES)
def test_learning_rates_are_torch_s(case: str, every: str) -> None:
    name, class_name, options, arguments = CASES[case]
    schedule = build(name, {**options, "every": every})
    length = STEPS_PER_EPOCH if every == "epoch" else 1
    expected = rates(class_name, arguments, STEPS // length)
    found = [schedule(step) * LR for step in range(STEPS)]
    assert found == pytest.approx([expected[step // length] for step in range(STEPS)], rel=1e-12, abs=1e-15)
    assert len({round(rate, 12) for rate in found}) > 1, "a rate that never moves shows nothing"
    assert min(found) >= -1e-15


@pytest.mark.parametrize("case", CASES)
def test_it_is_a_function_of_the_step(case: str) -> None:
    """A resumed run asks for later steps first."""
    name, _, options, _ = CASES[case]
    forward, backward = build(name, options), build(name, options)
    expected = [forward(step) for step in range(STEPS)]
    assert [backward(step) for step in reversed(range(STEPS))] == expected[::-1]
    assert [forward(step) for step in range(STEPS)] == expected


def test_the_default_unit_is_the_epoch() -> None:
    assert build("step", {"step_size": 2})(9) == 1.0
    assert build("step", {"step_size": 2})(10) == pytest.approx(0.1)


def test_an_incomplete_last_epoch_counts() -> None:
    schedule = SCHEDULES.build("torch/one-cycle", {"max_lr": 0.5}, steps=11, steps_per_epoch=5, lr=LR)
    assert [schedule(step) for step in (0, 5, 10)] == pytest.approx(
        [rate / LR for rate in rates("OneCycleLR", {"max_lr": 0.5, "total_steps": 3, "cycle_momentum": False}, 3)]
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("one-cycle", {"max_lr": 0.5, "total_steps": 3}),
        ("constant", {"factor": 2.0}),
        ("linear", {"start_factor": -1.0}),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ComponentError, match=f"schedule 'torch/{name}'"):
        build(name, options)
