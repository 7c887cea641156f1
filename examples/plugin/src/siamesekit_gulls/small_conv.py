"""Encoder `gulls-small-conv`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from siamesekit import ENCODERS, Backbone, MissingWeightsError
from siamesekit.options import Count


@ENCODERS.register("gulls-small-conv")
def small_conv(width: Count = 16, *, pretrained: bool = False) -> Backbone:
    """Three convolutions and global average pooling: images `[N, 3, H, W]`, values 0 … 255 → features `[N, 4 width]`.

    Blocks: conv1, conv2, conv3.

    Args:
        width: number of channels of the first convolution.
        pretrained: supplied by the run.

    Raises:
        MissingWeightsError: Pretrained weights are requested, but do not exist.
    """
    if pretrained:
        raise MissingWeightsError('gulls-small-conv has no pretrained weights; set encoder.weights = "random"')
    layers: list[tuple[str, nn.Module]] = []
    channels = 3
    for number in (1, 2, 3):
        out = width * 2 ** (number - 1)
        layers += [(f"conv{number}", nn.Conv2d(channels, out, 3, stride=2, padding=1)), (f"relu{number}", nn.ReLU())]
        channels = out
    network = nn.Sequential(OrderedDict([*layers, ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]))
    return Backbone(network, channels, mean=(127.5,) * 3, std=(127.5,) * 3)
