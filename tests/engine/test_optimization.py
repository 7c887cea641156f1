"""A step: clipping over encoder and loss, learning rates by schedule, the state it leaves."""

import copy
import math

import pytest
import torch
from torch import nn

from siamesekit.engine.optimization import Optimization
from siamesekit.engine.weight_average import WeightAverage


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_the_gradient_of_encoder_and_loss_is_clipped_together() -> None:
    encoder, loss = [parameter(0, 0), parameter(0)], parameter(0)
    optimization = Optimization(torch.optim.SGD(encoder, lr=1.0), torch.optim.SGD([loss], lr=1.0), clip_norm=2.0)
    encoder[0].grad, encoder[1].grad, loss.grad = (
        torch.tensor(g, dtype=torch.float64) for g in ([1.0, 2.0], [2.0], [4.0])
    )
    assert optimization.gradient_norm().item() == pytest.approx(3.0), "the encoder's alone, before clipping"
    optimization.step(0)
    moved = [*encoder[0].tolist(), *encoder[1].tolist(), *loss.tolist()]
    assert moved == pytest.approx([-2 / 5 * g for g in (1, 2, 2, 4)], rel=1e-5)


def test_a_gradient_below_the_limit_stays() -> None:
    weight = parameter(0, 0)
    optimization = Optimization(torch.optim.SGD([weight], lr=1.0), clip_norm=5.01)
    weight.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    optimization.step(0)
    assert weight.tolist() == [-3.0, -4.0]


def test_each_group_s_rate_is_its_first_one_times_the_factor_of_the_step() -> None:
    near, far, proxies = parameter(0), parameter(0), parameter(0)
    optimizer = torch.optim.SGD([{"params": [near]}, {"params": [far]}], lr=0.8)
    optimization = Optimization(
        optimizer, torch.optim.SGD([proxies], lr=10.0), lambda step: 1 / (1 + step), rates=[1.0, 0.5]
    )
    assert optimization.lr == 0.8
    total = 0.0
    for step in (4, 1, 0):  # whatever was done before
        for each in (near, far, proxies):
            each.grad = torch.ones_like(each)
        optimization.step(step)
        total += 1 / (1 + step)
        assert optimization.lr == pytest.approx(0.8 / (1 + step))
    assert [near.item(), far.item(), proxies.item()] == pytest.approx([-0.8 * total, -0.4 * total, -10 * total])


def test_without_gradient_there_is_no_norm_and_no_step() -> None:
    weight = parameter(1)
    optimization = Optimization(torch.optim.Adam([weight]))
    optimization.zero_grad()
    assert optimization.gradient_norm().item() == 0
    optimization.step(0)
    assert weight.item() == 1


def test_a_saved_state_goes_on_identically() -> None:
    def made() -> tuple[nn.Linear, nn.Linear, Optimization]:
        torch.manual_seed(1)
        encoder, loss = nn.Linear(3, 2), nn.Linear(2, 2)
        average = WeightAverage([encoder, loss], 0.9)
        return encoder, loss, Optimization(
            torch.optim.Adam(encoder.parameters(), lr=0.1), torch.optim.SGD(loss.parameters(), lr=0.1, momentum=0.9),
            lambda step: math.exp(-step / 5), 0.5, average,
        )  # fmt: skip

    def step(encoder: nn.Linear, loss: nn.Linear, optimization: Optimization, number: int) -> None:
        optimization.zero_grad()
        loss(encoder(torch.full((4, 3), 0.3 + number))).square().sum().backward()
        optimization.step(number)

    whole, parts = made(), made()
    for number in range(6):
        step(*whole, number)
    for number in range(3):
        step(*parts, number)
    resumed = made()
    resumed[0].load_state_dict(parts[0].state_dict()), resumed[1].load_state_dict(parts[1].state_dict())
    resumed[2].load_state_dict(copy.deepcopy(parts[2].state_dict()))
    for number in range(3, 6):
        step(*resumed, number)
    for one, two in ((whole[0], resumed[0]), (whole[1], resumed[1])):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    averages = [each[2].average for each in (whole, resumed)]
    assert all(torch.equal(a, b) for a, b in zip(averages[0].average, averages[1].average, strict=True))
