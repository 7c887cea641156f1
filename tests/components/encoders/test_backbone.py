"""Backbones: scaling, freezing, and the bounded wait for weights."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from siamesekit.components.encoders.backbone import Backbone, DownloadError, fetch
from siamesekit.errors import MissingWeightsError, UserError


class Pooled(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def small() -> Backbone:
    parts = OrderedDict(
        stem=nn.Conv2d(3, 4, 1),
        act=nn.ReLU(),
        stage=nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
        stage2=nn.Conv2d(4, 5, 1),
        pool=Pooled(),
    )
    return Backbone(nn.Sequential(parts), 5, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))


def trains(backbone: Backbone) -> list[str]:
    return [name for name, parameter in backbone.network.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_scale_subtracts_the_mean_and_divides_by_the_deviation(dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (2, 3, 4, 5)).to(dtype)
    scaled = small().scale(images)
    assert scaled.dtype == torch.float32
    for channel, (mean, std) in enumerate([(10, 1), (20, 2), (30, 4)]):
        np.testing.assert_allclose(scaled[:, channel], (images[:, channel].double() - mean) / std, rtol=1e-6)


def test_forward_is_the_network_on_scaled_images() -> None:
    backbone = small().double().eval()
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(backbone(images), backbone.network(backbone.scale(images)))
    assert backbone(images).dtype == torch.float64


def test_a_trial_of_a_size_leaves_a_network_as_it_was_where_a_module_or_a_weight_stands_twice() -> None:
    shared, tied = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    tied.weight = shared.weight
    parts = OrderedDict(stem=nn.Conv2d(3, 4, 3), first=shared, norm=nn.BatchNorm2d(4), again=shared, tied=tied)
    network = nn.Sequential(OrderedDict(**parts, pool=Pooled()))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    backbone = Backbone(network, 4, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert backbone.runs(8, 8) and not backbone.runs(2, 2)
    assert network.tied.weight is network.again.weight
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_scaling_constants_are_no_weights() -> None:
    assert all(name.startswith("network.") for name in small().state_dict())


def test_blocks_are_the_parts_with_parameters() -> None:
    assert small().blocks() == ["stem", "stage", "stage2"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("", ["stem", "stage.0", "stage.1", "stage2"]),
        ("stem", ["stem", "stage.0", "stage.1", "stage2"]),
        ("stage", ["stage.0", "stage.1", "stage2"]),
        ("stage.1", ["stage.1", "stage2"]),
        ("stage2", ["stage2"]),
        ("head", []),
    ],
)
def test_what_stands_before_the_block_is_frozen(block: str, expected: list[str]) -> None:
    backbone = small()
    backbone.freeze_before("head")
    backbone.freeze_before(block)
    assert trains(backbone) == [f"{part}.{kind}" for part in expected for kind in ("weight", "bias")]


@pytest.mark.parametrize("block", ["stag", "stage.7", "act", "network"])
def test_an_unknown_block_is_refused_with_the_choices(block: str) -> None:
    with pytest.raises(UserError, match=f"no block '{block}'.*choices: stem, stage, stage2, head"):
        small().freeze_before(block)


def test_an_unknown_part_of_a_block_is_refused_with_the_blocks_own_parts() -> None:
    with pytest.raises(UserError) as caught:
        small().freeze_before("stage.7")
    assert str(caught.value) == (
        "encoder.train_from: the network has no block 'stage.7' (did you mean 'stage.1' or 'stage.0' or 'stage'?); "
        "choices: stem, stage, stage2, head; inside stage: stage.0, stage.1"
    )


@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (5, 5)])
def test_a_network_of_one_size_refuses_others(shape: tuple[int, int]) -> None:
    one_size = Backbone(small().network, 5, (0.0,) * 3, (1.0,) * 3, size=4)
    assert one_size(torch.zeros(2, 3, 4, 4)).shape == (2, 5)
    with pytest.raises(UserError, match=rf"data.size: .* 4 × 4 pixels only, not of {shape[0]} × {shape[1]}: set"):
        one_size(torch.zeros(2, 3, *shape))


class OfFour(nn.Module):
    """A network of one size, or of several; on the meta device or only off it."""

    def __init__(self, sizes: tuple[int, ...], on_meta: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 3))
        self.norm = nn.BatchNorm1d(3)
        self.sizes, self.on_meta, self.calls = sizes, on_meta, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        assert images.shape[-1] in self.sizes
        assert self.on_meta or images.device.type != "meta"
        return self.norm(images.mean((2, 3))) @ self.weight.T


@pytest.mark.parametrize("on_meta", [True, False])
def test_a_size_that_may_be_taken_is_tried_once_before_it_is_refused(on_meta: bool) -> None:
    network = OfFour((4, 8), on_meta)
    made = Backbone(network, 5, (0.0,) * 3, (1.0,) * 3, size=4, may_take_others=True)
    for _ in range(3):
        assert made(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert network.calls == 3 + (1 if on_meta else 2)
    assert network.norm.num_batches_tracked == 3
    with pytest.raises(UserError if on_meta else AssertionError):
        made(torch.rand(2, 3, 5, 5))
    copied = pickle.loads(pickle.dumps(made))
    assert copied(torch.rand(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            DownloadError("example.org answers 404 Not Found"),
            "cannot be downloaded: example.org answers 404 Not Found; ",
        ),
        (RuntimeError("a\nb\x1b[2J"), r"cannot be loaded \(RuntimeError: a\\nb\\x1b\[2J\); "),
        (KeyError("x"), r"cannot be loaded \(KeyError: 'x'\); "),
    ],
)
def test_whatever_fetching_raises_means_missing_weights(error: Exception, says: str) -> None:
    def create() -> nn.Module:
        raise error

    with pytest.raises(MissingWeightsError, match=f"^the pretrained weights of thing {says}connect ") as caught:
        fetch(create, "thing")
    assert "encoder.weights =" in str(caught.value)
    assert caught.value.__cause__ is error
