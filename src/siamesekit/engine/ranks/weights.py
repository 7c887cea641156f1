"""Weights and gradients of a backbone on their way between the processes that encode together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from siamesekit.hardware.ranks import Ranks
from siamesekit.model import Encoder


def trained_tensors(encoder: Encoder) -> list[Tensor]:
    """The tensors of a backbone that change in training: trained parameters, and statistics of BatchNorm."""
    backbone = encoder.backbone
    trained: list[Tensor] = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    return trained + (list(backbone.buffers()) if encoder.batchnorm == "train" else [])


def every_tensor(encoder: Encoder) -> list[Tensor]:
    """All tensors of a backbone."""
    return [*encoder.backbone.parameters(), *encoder.backbone.buffers()]


@torch.no_grad()
def broadcast(ranks: Ranks, tensors: Sequence[Tensor]) -> None:
    """Give all processes the leader's values of tensors, each `[…]`, in place.

    Every process calls it, with the same tensors in the same order.
    """
    for places in places_by_type(tensors):
        group = [tensors[place] for place in places]
        flat = ranks.broadcast(torch.cat([tensor.detach().reshape(-1) for tensor in group]))
        if not ranks.leads:
            for tensor, new in zip(group, flat.split([each.numel() for each in group]), strict=True):
                tensor.copy_(new.view(tensor.shape))


@torch.no_grad()
def add_gradients(ranks: Ranks, parameters: Sequence[nn.Parameter]) -> None:
    """Add all processes' gradients of parameters on the leader; those of a parameter that no process has stay None.

    Every process calls it, with the same parameters in the same order.
    """
    for places in places_by_type(parameters):
        group = [parameters[place] for place in places]
        has = torch.tensor([parameter.grad is not None for parameter in group])
        flat = [
            (torch.zeros_like(tensor) if tensor.grad is None else tensor.grad).reshape(-1).contiguous()
            for tensor in group
        ]
        total = torch.cat([*flat, has.to(group[0])])
        ranks.add_to_leader(total)
        if not ranks.leads:
            continue
        anyone = total[-len(group) :].cpu() > 0
        start = 0
        for tensor, used in zip(group, anyone.tolist(), strict=True):
            summed = total[start : start + tensor.numel()].view(tensor.shape)
            start += tensor.numel()
            if used:
                tensor.grad = torch.empty_like(tensor).copy_(summed)


def places_by_type(tensors: Sequence[Tensor]) -> list[list[int]]:
    """The places of tensors, each `[…]`, grouped by their data type, in a fixed order."""
    groups: dict[torch.dtype, list[int]] = {}
    for place, tensor in enumerate(tensors):
        groups.setdefault(tensor.dtype, []).append(place)
    return list(groups.values())
