"""Networks without values: nothing is drawn, shapes and types are those of real ones."""

import pytest
import torch
from torch import nn

from siamesekit.hardware.no_values import without_values


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 4, 3),
        lambda: nn.Linear(5, 6),
        lambda: nn.BatchNorm2d(3),
        lambda: nn.Embedding(3, 4),
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.LSTM(3, 4),
    ],
)
def test_layers_have_the_shapes_and_types_of_real_ones(make: type[nn.Module]) -> None:
    def shapes(layer: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
        return {name: (value.shape, value.dtype) for name, value in layer.state_dict().items()}

    state = torch.get_rng_state()
    with without_values():
        layer = make()
    assert torch.equal(torch.get_rng_state(), state)
    assert shapes(layer) == shapes(make())
    assert all(value.is_meta for value in layer.state_dict().values())


def test_nothing_is_drawn_into_tensors_without_values_and_real_ones_are_filled() -> None:
    real = torch.zeros(4)
    with without_values():
        empty = torch.empty(2, 3)
        for filled in (
            empty.normal_(), empty.uniform_(0, 1), nn.init.kaiming_normal_(empty), nn.init.orthogonal_(tensor=empty),
            nn.init.trunc_normal_(empty, std=0.02),
        ):  # fmt: skip
            assert filled is empty
        real.normal_()
        nn.init.constant_(tensor := torch.zeros(3, device="cpu"), 2.0)
    assert real.abs().min() > 0 and tensor.tolist() == [2, 2, 2]


def test_a_short_linspace_has_numbers() -> None:
    with without_values():
        assert torch.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
        assert torch.linspace(0, 1, 5000).is_meta
    assert not torch.empty(1).is_meta
