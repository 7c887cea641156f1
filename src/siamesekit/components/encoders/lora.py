"""LoRA: linear layers keep their weights, and the product of two small matrices beside each of them trains.

y = W x + b + (α / r) · B A x, with A `[r, in]` and B `[out, r]`: Hu et al. 2021 (arXiv:2106.09685), section 4.1. A
starts random and B at 0, so training starts from the network as it was. After training, (α / r) · B A is added to W:
the network then has its first form again, and costs what it cost before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.pooling import GlobalPooling
from siamesekit.errors import UserError
from siamesekit.wording import first_of, near

SHOWN = 8
"""Most names of layers in an error message."""


class LoraLinear(nn.Module):
    """A linear layer with LoRA: `[..., in]` → `[..., out]`. It shares the weight and bias of the layer, which freeze.

    Args:
        layer: the layer.
        rank: r, the rank of the product of the two matrices.
        alpha: α; the product counts α / r times.
        dropout: dropout rate of the product's input in training.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self._layer: tuple[nn.Linear, ...] = (layer,)  # in a tuple, so that its weights have one name only
        layer.requires_grad_(False)
        self.weight = layer.weight
        self.bias: nn.Parameter | None = layer.bias
        self.lora_a = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.scale = alpha / rank
        self.dropout = dropout

    def forward(self, inputs: Tensor) -> Tensor:
        """The layer's output and, beside it, that of the two matrices."""
        beside = F.dropout(inputs, self.dropout, self.training) if self.dropout > 0 else inputs
        product = F.linear(F.linear(beside, self.lora_a), self.lora_b)
        return F.linear(inputs, self.weight, self.bias) + self.scale * product

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The layer with the product added to its weight; B becomes 0, so the output of this module does not change."""
        self.weight += self.scale * self.lora_b @ self.lora_a
        self.lora_b.zero_()
        return self._layer[0]

    def forget_plain_layer(self) -> None:
        """Let go of the layer; this one cannot be merged any more."""
        self._layer = ()

    def extra_repr(self) -> str:
        """The options, as `nn.Module` shows them."""
        rank, width = self.lora_a.shape
        return f"{width}, {len(self.lora_b)}, rank={rank}, scale={self.scale:g}, dropout={self.dropout:g}"


class Adapted(NamedTuple):
    """The layers of a network that have LoRA.

    Attributes:
        layers: number of these layers.
        parameters: number of the weights of their matrices.
        rank: rank of each product.
    """

    layers: int
    parameters: int
    rank: int

    def __str__(self) -> str:
        layers = "1 linear layer" if self.layers == 1 else f"{self.layers} linear layers"
        return f"rank {self.rank} in {layers}, {self.parameters:,} weights"


def add_lora(backbone: Backbone, rank: int, alpha: float, dropout: float, targets: Sequence[str]) -> Adapted:
    """Give LoRA to the linear layers that train and are named by `targets`; the backbone's own weights freeze.

    Only the exponent of `gem` pooling, which belongs to the head, trains on.

    Args:
        backbone: the backbone, in which the layers before the first block that trains are frozen.
        rank: rank of each product, at least 1.
        alpha: each product counts `alpha` / `rank` times.
        dropout: dropout rate before the matrices.
        targets: ends of the layers' dotted names: `qkv` or `attn.qkv` for `blocks.0.attn.qkv`.

    Raises:
        UserError: a target names no linear layer that trains, or the rank exceeds the size of a layer.
    """
    network = backbone.network
    linear = {
        name: module
        for name, module in network.named_modules(remove_duplicate=False)
        if type(module) is nn.Linear and name and module.weight.requires_grad
    }
    chosen = {name: layer for name, layer in linear.items() if any(_ends(name, target) for target in targets)}
    for target in targets:
        if not any(_ends(name, target) for name in chosen):
            raise UserError(f"encoder.lora.targets: {_no_layer(target, list(linear))}")
    if not targets:
        raise UserError("encoder.lora.targets: name at least one layer, or remove encoder.lora")
    for name, layer in chosen.items():
        if rank > min(layer.weight.shape):
            raise UserError(
                f"encoder.lora.rank: must be at most {min(layer.weight.shape)}, the smaller side of layer {name!r}, "
                f"not {rank}"
            )
    made = {id(layer): LoraLinear(layer, rank, alpha, dropout) for layer in chosen.values()}
    pooled = [p for module in network.modules() if isinstance(module, GlobalPooling) for p in module.parameters()]
    train_on = [parameter for parameter in pooled if parameter.requires_grad]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in train_on:
        parameter.requires_grad_()
    for name, layer in linear.items():  # a layer may have several names
        if id(layer) in made:
            network.set_submodule(name, made[id(layer)])
    size = sum(layer.lora_a.numel() + layer.lora_b.numel() for layer in made.values())
    return Adapted(len(made), size, rank)


def forget_plain_layers(network: nn.Module) -> None:
    """Let the LoRA layers of a copy of a network, which is never merged, let go of the layers that they replace."""
    for module in network.modules():
        if isinstance(module, LoraLinear):
            module.forget_plain_layer()


def merge_lora(network: nn.Module) -> None:
    """Add the products of all LoRA layers to their weights, and put the linear layers back in their places.

    The network computes the same, apart from rounding. Does nothing to a network without LoRA.
    """
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, LoraLinear):
            network.set_submodule(name, module.merged())


@torch.no_grad()
def refuse_what_is_not_called(backbone: Backbone, images: Tensor) -> None:
    """Refuse LoRA in layers that the network does not call, since its matrices would not train.

    Some networks read the weight of a layer and multiply by themselves.

    Args:
        backbone: the backbone, with LoRA.
        images: at least one image, uint8 `[N, 3, S, S]`, on the backbone's device.

    Raises:
        UserError: the network does not call a layer.
    """
    missed = {name: module for name, module in backbone.network.named_modules() if isinstance(module, LoraLinear)}
    names: dict[nn.Module, str] = {module: name for name, module in missed.items()}

    def note(module: nn.Module, _: object) -> None:
        missed.pop(names[module], None)

    hooks = [module.register_forward_pre_hook(note) for module in names]
    try:
        backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    if missed:
        raise UserError(
            f"encoder.lora.targets: the network does not call {first_of(list(missed), SHOWN)} but reads the weight by "
            "itself, so LoRA has no effect there: name other layers"
        )


def _ends(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")


def _no_layer(target: str, linear: list[str]) -> str:
    """Why a target names no layer, with the layers that there are."""
    if not linear:
        return "the part of the network that trains has no linear layers, which LoRA needs: remove encoder.lora"
    ends = sorted({name.rpartition(".")[2] for name in linear})
    return f"no linear layer that trains is named {target!r}{near(target, ends)}; choices: {first_of(ends, SHOWN)}"
