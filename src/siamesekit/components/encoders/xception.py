"""Encoder `xception`: Xception as Keras defines it, on timm's `legacy_xception`."""

from __future__ import annotations

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from siamesekit.components.encoders.backbone import Backbone, fetch
from siamesekit.components.encoders.timm_weights import with_pretrained_weights
from siamesekit.registry import ENCODERS

KERAS_BATCHNORM_EPS = 1e-3


@ENCODERS.register("xception")
def xception(*, pretrained: bool = False) -> Backbone:
    """Xception (Chollet 2017, arXiv:1610.02357) without its classifier, global average pooling: 2048 features.

    timm's `legacy_xception`, changed to match Keras: BatchNorm eps 1e-3, and "same" max-pooling, which pads even sizes
    at the right and bottom only. With the same weights the features equal Keras's
    (`tests/parity/test_keras_golden.py`). Weights `imagenet` are converted from Keras.

    Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled to x / 127.5 − 1 → features `[N, 2048]`.
    H and W are at least 71. Blocks: conv1, bn1, conv2, bn2, block1 … block12, conv3, bn3, conv4, bn4.

    Raises:
        MissingWeightsError: The pretrained weights cannot be downloaded or loaded.
    """

    model = "legacy_xception"
    network = (
        fetch(lambda: with_pretrained_weights(model), "xception")
        if pretrained
        else timm.create_model(model, num_classes=0)
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = KERAS_BATCHNORM_EPS
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, SameMaxPool2d())
    return Backbone(network, 2048, mean=(127.5,) * 3, std=(127.5,) * 3, default_size=299)


class SameMaxPool2d(nn.Module):
    """Max-pooling 3 × 3, stride 2, with Keras's "same" padding: `[N, C, H, W]` → `[N, C, ⌈H/2⌉, ⌈W/2⌉]`.

    Odd sizes are padded by one on both sides, even sizes by one at the end, with −inf.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Pool `[N, C, H, W]`."""
        top, left = images.shape[-2] % 2, images.shape[-1] % 2
        padded = F.pad(images, (left, 1, top, 1), value=float("-inf"))
        return F.max_pool2d(padded, kernel_size=3, stride=2)
