"""Layer-wise learning rates: the nearer a block is to the input, the lower its rate."""

from __future__ import annotations

from typing import Any

from torch import nn

from siamesekit.components.encoders.pooling import GlobalPooling
from siamesekit.model import Encoder


def distances_from_head(encoder: Encoder) -> dict[str, int]:
    """The distance of each trained parameter from the head, in blocks, by its name in the encoder.

    The distance is 0 in the head, 1 in the backbone's last block, and so on in the order of `layers_of`. Parameters
    outside all blocks (a class token, a position embedding) are as far as the first block. A pooling layer of its own
    (`encoder.pooling = "gem"`) counts as part of the head.
    """
    network = encoder.backbone.network
    layers = layers_of(network)
    blocks = [name for name in layers if not isinstance(network.get_submodule(name), GlobalPooling)]
    distance = dict.fromkeys((f"backbone.network.{layer}" for layer in layers), 0)
    distance |= {f"backbone.network.{block}": len(blocks) - number for number, block in enumerate(blocks)}

    def of(name: str) -> int:
        if name.startswith("head."):
            return 0
        parts = name.split(".")
        places = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((distance[place] for place in places if place in distance), len(blocks))

    return {name: of(name) for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def layers_of(network: nn.Module) -> list[str]:
    """The successive blocks of a network, by their dotted names, from input to output.

    Blocks are the network's parts with parameters. A part that is a list of blocks counts as those blocks; a part that
    holds a list of blocks of one kind, as a stage does, counts as its own parts. So each transformer block of a ViT and
    each residual block of a ResNet is a block.
    """
    return [name for part, module in _parts(network) for name in _layers(part, module)]


def _layers(name: str, module: nn.Module) -> list[str]:
    if not _is_list(module) and not any(_is_stage(part) for _, part in _parts(module)):
        return [name]
    return [each for part, inner in _parts(module) for each in _layers(f"{name}.{part}", inner)]


def _is_list(module: nn.Module) -> bool:
    """Whether a module is a list of blocks that have parts themselves, unlike a convolution and its norm."""
    blocks = [block for _, block in _parts(module)]
    return isinstance(module, nn.Sequential | nn.ModuleList) and bool(blocks) and all(map(_parts, blocks))


def _is_stage(module: nn.Module) -> bool:
    """Whether a module is a list of blocks of one kind, other than a chain of convolutions with their norms."""
    kinds = {type(block) for _, block in _parts(module)}
    return _is_list(module) and len(kinds) == 1 and not issubclass(kinds.pop(), nn.Sequential)


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """A module's direct parts that have parameters."""
    return [(name, part) for name, part in module.named_children() if any(True for _ in part.parameters())]


def layer_groups(encoder: Encoder, decay: float) -> tuple[list[dict[str, Any]], list[float]]:
    """Trained parameters as PyTorch parameter groups, head first, and the factor decayᵈ of each group's learning rate.

    Used for fine-tuning by Bao et al. 2022 (arXiv:2106.08254).

    Args:
        encoder: the encoder; each of its trained parameters is in one group.
        decay: factor per block, above 0, at most 1.
    """
    members: dict[int, list[nn.Parameter]] = {}
    parameters = dict(encoder.named_parameters())
    for name, distance in distances_from_head(encoder).items():
        members.setdefault(distance, []).append(parameters[name])
    far = sorted(members)
    return [{"params": members[distance]} for distance in far], [decay**distance for distance in far]
