"""Folded BatchNorm: values and every gradient of the convolution and the BatchNorm behind it."""

import pytest
import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, fx, nn

from siamesekit.engine.frozen.cutting import whole
from siamesekit.engine.frozen.folding import FoldedConv, fold
from siamesekit.model import Architecture, build


def norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    return filled(nn.BatchNorm2d(channels, eps=1e-3, affine=affine).double(), affine)


def filled(made: nn.BatchNorm2d, affine: bool = True) -> nn.BatchNorm2d:
    channels = made.num_features
    generator = torch.Generator().manual_seed(3)
    made.running_mean.copy_(torch.randn(channels, generator=generator))
    made.running_var.copy_(torch.rand(channels, generator=generator) + 0.5)
    if affine:
        nn.init.normal_(made.weight, 1.0, 0.3, generator=generator)
        nn.init.normal_(made.bias, 0.0, 0.3, generator=generator)
    return made.eval()


def results(function: nn.Module, maps: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradients of a fixed sum of it with respect to the input and all parameters."""
    maps = maps.clone().requires_grad_()
    out = function(maps)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    gradients = torch.autograd.grad((out * weights).sum(), [maps, *function.parameters()])
    return out.detach(), *gradients


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 8, 1),
        nn.Conv2d(6, 8, 1, stride=2, bias=False),
        nn.Conv2d(6, 8, 1, stride=(1, 2), bias=False),
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
        nn.Conv2d(6, 12, 3, stride=2, groups=3, dilation=2),
        nn.Conv2d(6, 8, 1, padding=1),
        nn.Conv2d(6, 8, 3, padding="same"),
    ],
    ids=["1x1", "1x1-stride", "1x1-uneven", "3x3", "depthwise", "grouped", "1x1-padded", "same"],
)
def test_values_and_gradients_are_those_of_both_modules(conv: nn.Conv2d, affine: bool, products: bool) -> None:
    conv, behind = conv.double(), norm(conv.out_channels, affine)
    maps = torch.randn(3, 6, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    expected = results(nn.Sequential(conv, behind), maps.contiguous(memory_format=torch.channels_last))
    found = results(FoldedConv(conv, behind, products), maps.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        Conv2dSame(6, 8, 3, stride=2, bias=False),
        Conv2dSame(6, 6, 5, stride=2, groups=6, bias=False),
        Conv2dSame(6, 8, 1, stride=2, bias=False),
    ],
    ids=["plain", "same", "depthwise", "1x1"],
)
def test_values_and_gradients_are_those_of_timm_s_layers(conv: nn.Conv2d, products: bool) -> None:
    """The activation bends 0 and 6: some values are below, some between and some above."""
    conv, act = conv.double(), {"act_layer": nn.ReLU6, "act_kwargs": {"inplace": True}}
    behind = filled(BatchNormAct2d(conv.out_channels, eps=1e-3, **act).double())
    maps = 30 * torch.randn(3, 6, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    expected = results(nn.Sequential(conv, behind), maps.contiguous(memory_format=torch.channels_last))
    found = results(FoldedConv(conv, behind, products), maps.contiguous(memory_format=torch.channels_last))
    assert {0.0, 6.0} < set(expected[0].flatten().tolist())
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-10)


def test_every_convolution_of_efficientnet_lite0_is_folded() -> None:
    network = build(Architecture("efficientnet-lite0", {}, {"layers": [8]}, "inference")).backbone.network.eval()
    graph = fold(whole(network))
    called = [graph.get_submodule(node.target) for node in graph.graph.nodes if node.op == "call_module"]
    assert sum(isinstance(module, FoldedConv) for module in called) == 49
    assert not any(isinstance(module, nn.Conv2d | nn.BatchNorm2d) for module in called)


@pytest.mark.medium
@pytest.mark.parametrize(
    "name", ["timm/test_resnet", "timm/mobilenetv3_small_050", "timm/densenet121", "xception", "efficientnet-lite0"]
)
def test_a_whole_network_gives_the_same_features_in_float32(name: str) -> None:
    torch.manual_seed(0)
    network = build(Architecture(name, {}, {"layers": [8]}, "inference")).backbone.network.eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = network(images)
        found = fold(whole(network))(images)
    assert (found - expected).norm() / expected.norm() < 1e-5


class Parts(nn.Module):
    """One convolution used by its BatchNorm alone, one whose plain output is used too, one before a training norm."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.one_norm = nn.Conv2d(2, 2, 1), norm(2).float()
        self.two, self.two_norm = nn.Conv2d(2, 2, 1), norm(2).float()
        self.three, self.three_norm = nn.Conv2d(2, 2, 1), norm(2).float()
        self.circular, self.circular_norm = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), norm(2).float()

    def forward(self, x: Tensor) -> Tensor:
        x = self.one_norm(self.one(x))
        plain = self.two(x)
        x = self.two_norm(plain) + plain
        return self.circular_norm(self.circular(self.three_norm(self.three(x))))


def test_only_pairs_that_may_be_folded_are() -> None:
    network = Parts().eval()
    network.three_norm.train()
    graph = fold(fx.GraphModule(network, fx.Tracer().trace(network)))
    folded = [module.conv for module in graph.modules() if isinstance(module, FoldedConv)]
    assert folded == [network.one]
    names = {str(node.target) for node in graph.graph.nodes if node.op == "call_module"}
    assert {"two", "two_norm", "three", "three_norm", "circular", "circular_norm"} <= names
