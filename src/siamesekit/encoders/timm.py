"""Encoders `timm/*`: every image model of timm."""

from __future__ import annotations

import timm
from timm.data.config import resolve_model_data_config
from torch import nn

from siamesekit.encoders.backbone import Backbone, fetch
from siamesekit.errors import UserError
from siamesekit.registry import ENCODERS


@ENCODERS.register("timm/*", names="siamesekit.encoders.model_names:timm_models")
def timm_backbone(*, model: str, pretrained: bool = False) -> Backbone:
    """Any image model of timm, without its classifier, with timm's own pooling and input scaling.

    `timm/resnet18`, or with a weights tag `timm/resnet18.a1_in1k`. Weights `imagenet` are timm's default (or the
    tag's). Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the model's own mean and standard deviation
    → features `[N, F]`, F the model's. Blocks: the model's parts by their names in timm.

    Raises:
        MissingWeightsError: pretrained weights are asked for and cannot be had.
    """

    def create() -> nn.Module:
        network: nn.Module = timm.create_model(model, pretrained=pretrained, num_classes=0)
        return network

    network = fetch(create, f"timm/{model}") if pretrained else create()
    num_features = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(num_features, int):
        raise UserError(f"encoder.name: timm/{model} does not tell its number of features and cannot be used")
    data = resolve_model_data_config(network)
    return Backbone(network, num_features, mean=[255 * m for m in data["mean"]], std=[255 * s for s in data["std"]])
