"""The weights' average against a loop over plain numbers."""

import copy

import pytest
import torch
from torch import nn

from siamesekit.engine.weight_average import WeightAverage, warmed_decay


def test_the_decay_warms_up() -> None:
    assert [warmed_decay(0.5, t) for t in range(10)] == pytest.approx(
        [1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5]
    )


def made() -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.BatchNorm1d(2)).double()
    module[0].requires_grad_(False)
    module[3].eval()
    return module


def moved(module: nn.Module, step: int) -> None:
    """Some new weights and statistics."""
    with torch.no_grad():
        for number, value in enumerate(module.state_dict().values()):
            value.add_(1 if value.dtype == torch.int64 else 0.1 * ((number + step) % 7 - 3))


def test_equals_a_loop_and_leaves_alone_what_does_not_train() -> None:
    module = made()
    average = WeightAverage([module], 0.6)
    expected = {name: value.clone() for name, value in module.state_dict().items()}
    for t in range(25):
        moved(module, t)
        average.update()
        d = min(0.6, (1 + t) / (10 + t))
        for name, value in module.state_dict().items():
            frozen = name.startswith("0.") or (name.startswith("3.") and ("running" in name or "batches" in name))
            whole = frozen or value.dtype == torch.int64
            expected[name] = value.clone() if whole else d * expected[name] + (1 - d) * value
    raw = {name: value.clone() for name, value in module.state_dict().items()}
    with average.applied():
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12)
        assert not torch.equal(module[1].running_mean, raw["1.running_mean"])
    assert all(torch.equal(value, raw[name]) for name, value in module.state_dict().items())
    average.apply()
    torch.testing.assert_close(module[2].weight.detach(), expected["2.weight"], rtol=1e-12, atol=1e-12)


def test_weights_come_back_after_an_error() -> None:
    module = made()
    average = WeightAverage([module], 0.9)
    moved(module, 0)
    raw = module[2].weight.detach().clone()
    with pytest.raises(KeyError), average.applied():
        assert not torch.equal(module[2].weight, raw)
        raise KeyError
    assert torch.equal(module[2].weight, raw)


def test_a_saved_average_goes_on_identically() -> None:
    module, other = made(), made()
    whole, first = WeightAverage([module], 0.9), WeightAverage([other], 0.9)
    for t in range(4):
        moved(module, t), moved(other, t)
        whole.update(), first.update()
    state = copy.deepcopy(first.state_dict())
    resumed = WeightAverage([other], 0.9)
    resumed.load_state_dict(state)
    for t in range(4, 8):
        moved(module, t), moved(other, t)
        whole.update(), resumed.update()
    assert all(torch.equal(a, b) for a, b in zip(whole.average, resumed.average, strict=True))
    assert resumed.updates == 8
