"""Images that go through the whole network, run as a module: nothing is cut, folded or cached."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from siamesekit.engine.frozen.stored import Stored, Team, Views, pixel_chunk
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder


def stored_for_whole_network(
    encoder: Encoder, images: Tensor, views: Views | None, compute: Compute, why: str, team: Team | None = None
) -> Stored:
    """The images themselves, uint8 `[N, 3, S, S]`, through the network as a module, wherever its weights are.

    Args:
        encoder: the encoder; its backbone may be on another device than its head.
        images: all images.
        views: views of the training photos.
        compute: the device of the head, and the number format.
        why: why nothing is cached, in words.
        team: the processes that encode these images together.
    """

    def features(tensors: Sequence[Tensor]) -> Tensor:
        backbone = encoder.backbone
        made: Tensor = backbone(tensors[0].to(backbone.mean.device))
        return made.to(compute.device)

    def embed(tensors: Sequence[Tensor]) -> Tensor:
        return encoder.before_neck(features(tensors))

    pixels = images.contiguous(memory_format=torch.channels_last)
    chunk = pixel_chunk(images)
    return Stored((pixels,), embed, why, False, len(images), views, False, chunk, None, features, None, team)
