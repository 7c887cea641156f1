"""Layer-wise learning rates: the nearer a block is to the input, the less it moves."""

from __future__ import annotations

from typing import Any

from torch import nn

from siamesekit.model import Encoder


def distances_from_head(encoder: Encoder) -> dict[str, int]:
    """How many blocks from the head each trained parameter is, by its name in the encoder.

    0 in the head, 1 in the backbone's last block, and so on in the order of `Backbone.blocks()`; what stands in no
    block (a class token, a position embedding) is as far as the first one.
    """
    blocks = encoder.backbone.blocks()
    distance = {f"backbone.network.{block}": len(blocks) - number for number, block in enumerate(blocks)}

    def of(name: str) -> int:
        if name.startswith("head."):
            return 0
        return distance.get(".".join(name.split(".")[:3]), len(blocks))

    return {name: of(name) for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def layer_groups(encoder: Encoder, decay: float) -> tuple[list[dict[str, Any]], list[float]]:
    """What trains in PyTorch's parameter groups, head first, and the factor decayᵈ of each one's learning rate.

    Bao et al. 2022 (arXiv:2106.08254) fine-tune so.

    Args:
        encoder: its trained parameters, each in one group.
        decay: above 0, at most 1.
    """
    members: dict[int, list[nn.Parameter]] = {}
    parameters = dict(encoder.named_parameters())
    for name, distance in distances_from_head(encoder).items():
        members.setdefault(distance, []).append(parameters[name])
    far = sorted(members)
    return [{"params": members[distance]} for distance in far], [decay**distance for distance in far]
