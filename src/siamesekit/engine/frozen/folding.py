"""Convolution and BatchNorm as one step: with stored statistics, BatchNorm is a scale and a shift of the weights.

γ (W x − μ) / √(σ² + ε) + β = (s W) x + (β − s μ) with s = γ / √(σ² + ε). Each call computes the folded weights from
the parameters, so gradients reach W, γ and β and are exact (`test_folding.py`), without BatchNorm's forward and
backward passes over the feature maps. A 1 × 1 convolution of a channels-last map is a matrix product, and can be
computed as one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

FOLDED = "folded_{}"


class _Kinds(NamedTuple):
    """timm's layers that fold like PyTorch's.

    Attributes:
        norm_act: BatchNorm followed by a dropout and an activation.
        conv_same: a convolution whose zero padding depends on the size of the map.
        pad_same: that padding.
    """

    norm_act: type[nn.Module]
    conv_same: type[nn.Module]
    pad_same: Callable[..., Tensor]


@cache
def _kinds() -> _Kinds:
    from timm.layers.conv2d_same import Conv2dSame  # timm takes seconds to import
    from timm.layers.norm_act import BatchNormAct2d
    from timm.layers.padding import pad_same

    return _Kinds(BatchNormAct2d, Conv2dSame, pad_same)


class FoldedConv(nn.Module):
    """A convolution and the BatchNorm behind it, in inference mode: maps `[N, C, H, W]` → `[N, K, H', W']`.

    It shares the parameters and statistics of both modules. timm's BatchNorm with an activation is followed by that.

    Args:
        conv: a convolution with zero padding, or timm's with the padding of TensorFlow.
        norm: a BatchNorm with stored statistics.
        products: compute a 1 × 1 convolution as a matrix product of the channels-last map.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, products: bool = False) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activates = type(norm) is _kinds().norm_act
        self.pads_same = type(conv) is _kinds().conv_same
        plain = conv.kernel_size == (1, 1) and conv.groups == 1 and conv.padding in ((0, 0), "valid")
        self.is_product = products and plain

    def weights(self) -> tuple[Tensor, Tensor]:
        """The folded weight, in the convolution's shape, and bias `[K]`."""
        conv, norm = self.conv, self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        shift = -norm.running_mean * scale if conv.bias is None else (conv.bias - norm.running_mean) * scale
        if norm.affine:
            scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
        return conv.weight * scale.view(-1, 1, 1, 1), shift

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve and normalise: `[N, C, H, W]` → `[N, C', H', W']`."""
        found = self._normalised(maps)
        return self.norm.act(self.norm.drop(found)) if self.activates else found  # type: ignore[operator]

    def _normalised(self, maps: Tensor) -> Tensor:
        weight, bias = self.weights()
        if not self.is_product:
            conv = self.conv
            padding = conv.padding
            if self.pads_same:
                maps, padding = _kinds().pad_same(maps, conv.kernel_size, conv.stride, conv.dilation), (0, 0)
            return F.conv2d(maps, weight, bias, conv.stride, padding, conv.dilation, conv.groups)
        down, right = self.conv.stride
        return as_product(maps[:, :, ::down, ::right], weight, bias)


def as_product(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1 × 1 convolution as a matrix product.

    Args:
        maps: channels-last maps `[N, C, H, W]`.
        weight: weight `[K, C, 1, 1]`.
        bias: bias `[K]`.

    Returns:
        Channels-last maps `[N, K, H, W]`.
    """
    rows = maps.permute(0, 2, 3, 1)
    # Flattened to two dimensions: for a strided map, `linear` would compute one product per row.
    flat = F.linear(rows.reshape(-1, rows.shape[3]), weight.flatten(1), bias)
    return flat.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def fold(module: fx.GraphModule, products: bool = False) -> fx.GraphModule:
    """Replace, in place, each convolution that only a BatchNorm in inference mode uses by a `FoldedConv` of both.

    The module shares its parameters with the traced network. Convolutions whose padding is not of zeros stay unfolded,
    as does BatchNorm that uses the batch's statistics, so `module` must be in the mode in which it will run.
    """
    graph = module.graph
    for node in list(graph.nodes):
        pair = _pair(node, module)
        if pair is None:
            continue
        name = FOLDED.format(node.name)
        module.add_submodule(name, FoldedConv(*pair, products))
        before = node.args[0]
        with graph.inserting_before(before):
            folded = graph.call_module(name, before.args)
        node.replace_all_uses_with(folded)
        graph.erase_node(node)
        graph.erase_node(before)
    module.recompile()
    return module


def _pair(node: fx.Node, module: fx.GraphModule) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    """The convolution and the BatchNorm to fold, if `node` is such a BatchNorm; else None."""
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return None
    before = node.args[0]
    norm = module.get_submodule(str(node.target))
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    conv = module.get_submodule(str(before.target))
    if type(norm) not in (nn.BatchNorm2d, _kinds().norm_act) or norm.training or norm.running_mean is None:
        return None
    if (
        type(conv) not in (nn.Conv2d, _kinds().conv_same)
        or conv.padding_mode != "zeros"
        or len(before.args) != 1
        or before.kwargs
    ):
        return None
    return conv, norm  # type: ignore[return-value] # both types are among those above
